"""What a patch asks of a call is what that call said, also when a checkpoint runs a layer again."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

import pefc

from ..models import llama, perturb, words

SPECS = (
    "loreft(r=2, front=2, back=0) on layer",
    "direft(r=2, front=1, back=2) on ffn",
    "adapterdrop(0..1) { adapter(r=2) on ffn }",
)


def gradients(spec: str, prepare: Callable[[nn.Module], object]) -> list[torch.Tensor | None]:
    """Of two calls with different padding, before one backward pass."""
    model = llama()
    torch.manual_seed(0)
    pefc.apply(spec, model)
    perturb(model)
    prepare(model.train())
    ids = words(length=8)
    padded = torch.cat([torch.zeros(2, 4, dtype=torch.long), ids[:, :4]], 1)
    first = model(ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    second = model(padded, attention_mask=(padded != 0).long(), use_cache=False).logits
    (first.square().mean() + second[:, 4:].mean()).backward()
    return [p.grad for p in model.parameters() if p.requires_grad]


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_of_two_calls_keep_them_apart(spec: str, *, reentrant: bool) -> None:
    def checkpointed(model: nn.Module) -> None:
        model.activation_checkpointing_enable({"use_reentrant": reentrant})
        model.enable_input_require_grads()

    expected = gradients(spec, lambda _: None)
    found = gradients(spec, checkpointed)
    assert any(g is not None and bool(g.any()) for g in expected)
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


def test_hand_written_masks_say_where_texts_are() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(3)
            self.e = nn.Embedding(20, 16)
            self.up, self.down = nn.Linear(16, 24), nn.Linear(24, 16)

        def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
            x = self.e(ids)
            x = x if mask is None else x * mask[..., None]
            return x + self.down(self.up(x).relu())

    model, ids = Masked(), torch.arange(10).reshape(1, 10) + 2
    pefc.apply("direft(r=2, front=0, back=2) on ffn", model)
    perturb(model)
    mask = (torch.arange(14) < 10).long()[None]
    padded = torch.cat([ids, torch.zeros(1, 4, dtype=torch.long)], 1)
    torch.testing.assert_close(model(padded, mask)[:, :10], model(ids))
