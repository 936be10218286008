"""Modules that stand in unusual places: in a sequence, under two names, called again."""

import pytest
import torch
from torch import nn
from transformers import AlbertConfig, AlbertModel

import pefc


def perturb(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))


def test_shared_tensors_at_the_top_of_a_sequence_change_nothing() -> None:
    model = nn.Sequential(nn.Linear(16, 24), nn.ReLU(), nn.Linear(24, 4)).eval()
    x = torch.randn(3, 16)
    before = model(x)
    pefc.apply("vera(r=4) on **", model)
    assert torch.equal(model(x), before)
    perturb(model)
    assert not torch.allclose(model(x), before)
    pefc.remove(model)
    assert torch.equal(model(x), before)


class Twice(nn.Module):
    """One linear map under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(16, 16)
        self.second = self.first

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu())


@pytest.mark.parametrize("path", ["first", "**"])
def test_a_module_under_two_names_is_patched_at_both(path: str) -> None:
    model = Twice().eval()
    x = torch.randn(3, 16)
    program = pefc.compile(f"lora(r=2) on {path}", model)
    graph = program.graph
    program.apply()
    perturb(model)
    live, traced = model(x), graph(x=x)
    torch.testing.assert_close(traced, live)


def test_layers_that_are_called_again_are_patched_at_every_call() -> None:
    config = AlbertConfig(
        embedding_size=16,
        hidden_size=32,
        intermediate_size=48,
        num_attention_heads=4,
        num_hidden_layers=3,
        vocab_size=50,
    )
    model = AlbertModel(config).eval()
    tokens = {"input_ids": torch.randint(0, 50, (2, 5))}
    tokens["attention_mask"] = torch.ones_like(tokens["input_ids"])
    program = pefc.compile("lora(r=2) on attn.q, ffn.down", model)
    graph = program.graph
    program.apply()
    perturb(model)
    live = model(**tokens).last_hidden_state
    torch.testing.assert_close(graph(**tokens).last_hidden_state, live)
