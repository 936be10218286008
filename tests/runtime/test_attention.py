import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pefc.runtime.attention.forward import Call, attended, extended

from .prefixed import (
    LENGTH,
    attentions,
    bert,
    gemma2,
    gpt2,
    gpt_oss,
    llama,
    mistral,
    patch,
    patched,
    referring,
    seeded,
    t5,
    untouched,
)

Make = Callable[[], PreTrainedModel]
IDS = torch.randint(1, 64, (2, 9), generator=torch.Generator().manual_seed(0))
LEFT, RIGHT = torch.ones_like(IDS), torch.ones_like(IDS)
LEFT[0, :3] = 0
RIGHT[0, 6:] = 0
SDPA = (llama, mistral, gpt2, bert, t5)
EAGER = (*SDPA, gemma2, gpt_oss)
CASES = [(make, "sdpa") for make in SDPA] + [(make, "eager") for make in EAGER]


def close(implementation: str) -> dict[str, float]:
    """Models of the Llama family take the softmax of eager attention in 32 bits."""
    return {"rtol": 0, "atol": 1e-13 if implementation == "sdpa" else 1e-5}


def outputs(model: nn.Module, **inputs: Tensor) -> Tensor:
    if hasattr(model, "get_encoder") and model.config.is_encoder_decoder:
        inputs["decoder_input_ids"] = IDS[:, :5]
    with torch.no_grad():
        return model(input_ids=IDS, **inputs)[0]


@pytest.mark.parametrize("mask", [None, LEFT, RIGHT], ids=["full", "left", "right"])
@pytest.mark.parametrize(("make", "implementation"), CASES)
def test_a_prefix_stands_before_all_keys(
    make: Make, implementation: str, mask: Tensor | None
) -> None:
    model = seeded(make)
    expected = outputs(referring(model), attention_mask=mask)
    tuned = patched(model)
    tuned.set_attn_implementation(implementation)
    actual = outputs(tuned, attention_mask=mask)
    kept = LEFT.bool() if mask is LEFT and make is not t5 else ...
    torch.testing.assert_close(actual[kept], expected[kept], **close(implementation))
    if mask is None:
        assert (actual - outputs(model)).abs().max() > 0.1


@pytest.mark.parametrize(("make", "implementation"), CASES)
def test_a_patch_that_adds_nothing_changes_no_bit(make: Make, implementation: str) -> None:
    model = seeded(make, torch.float32)
    model.set_attn_implementation(implementation)
    for mask in (None, LEFT):
        expected = outputs(model, attention_mask=mask)
        assert torch.equal(outputs(patched(model, untouched), attention_mask=mask), expected)


def test_attention_weights_are_those_of_the_eager_function() -> None:
    model = seeded(bert)
    model.set_attn_implementation("eager")
    plain = model(IDS, output_attentions=True).attentions
    same = patched(model, untouched)(IDS, output_attentions=True).attentions
    wide = patched(model)(IDS, output_attentions=True).attentions
    assert all(map(torch.equal, plain, same))
    assert [weights.shape for weights in wide] == [(2, 4, 9, 9 + LENGTH)] * 2


@pytest.mark.parametrize("make", [llama, t5])
def test_patches_stand_upon_each_other(make: Make) -> None:
    model = seeded(make)
    twice = patched(patched(model))

    def double(
        module: nn.Module, call: Call, q: Tensor, keys: Tensor, values: Tensor, _scale: float
    ) -> Tensor:
        before, after = torch.cat([module.prefix, module.prefix], 1)
        return call(q, extended(keys, before), extended(values, after), 2 * LENGTH)

    assert torch.equal(outputs(twice), outputs(patched(model, double)))


def test_only_patched_modules_see_another_config() -> None:
    model = seeded(llama)
    expected = outputs(model)
    first, second = attentions(model)
    config = model.config
    patch(first, untouched)
    assert second.config is config
    assert first.config._attn_implementation == "sdpa"
    assert first.config._attn_implementation in ("eager", "sdpa")
    assert {"sdpa": 0}.get(first.config._attn_implementation) is None
    assert first.config.hidden_size == 32
    first.config.hidden_size = 33
    assert config.hidden_size == 33
    assert first.config == config == copy.deepcopy(first.config)
    first.config = first.config
    assert first.__dict__["config"] is config
    assert torch.equal(outputs(model), expected)
    assert config._attn_implementation == "sdpa"


def test_a_name_of_the_architecture_reads_through() -> None:
    model = patched(seeded(gpt2))
    assert attentions(model)[0].config.hidden_size == attentions(model)[0].config.n_embd == 32


def test_the_implementation_may_change_later() -> None:
    tuned = patched(seeded(llama))
    expected = outputs(tuned)
    tuned.set_attn_implementation("eager")
    assert attentions(tuned)[0].config._attn_implementation == "eager"
    torch.testing.assert_close(outputs(tuned), expected, **close("eager"))
    assert not torch.equal(outputs(tuned), expected)


def test_a_prefix_may_differ_by_row() -> None:
    model = seeded(llama)

    def by_row(
        module: nn.Module, call: Call, q: Tensor, keys: Tensor, values: Tensor, _scale: float
    ) -> Tensor:
        rows = torch.stack([module.prefix, -module.prefix], 1)
        return call(q, extended(keys, rows[0]), extended(values, rows[1]), LENGTH)

    both = outputs(patched(model, by_row))
    torch.testing.assert_close(both[0], outputs(patched(model))[0], **close("sdpa"))
    for module in attentions(model):
        module.prefix.data.neg_()
    torch.testing.assert_close(both[1], outputs(patched(model))[1], **close("sdpa"))


@pytest.mark.parametrize("rows", [False, True])
def test_attended_is_softmax_attention(rows: bool) -> None:
    torch.manual_seed(0)
    q = torch.randn(2, 4, 5, 8, dtype=torch.float64)
    keys, values = torch.randn(2, 2, 7, 2, 8, dtype=torch.float64)
    given = (keys, values) if rows else (keys[0], values[0])
    actual = attended(q, *given, 0.3)
    for b, h in [(0, 0), (1, 1), (1, 2), (0, 3)]:
        own = (
            (keys[b, :, h // 2], values[b, :, h // 2])
            if rows
            else (
                keys[0, :, h // 2],
                values[0, :, h // 2],
            )
        )
        expected = (q[b, h] @ own[0].T * 0.3).softmax(-1) @ own[1]
        torch.testing.assert_close(actual[b, :, h], expected, rtol=0, atol=1e-14)


def test_a_copy_is_patched_and_apart() -> None:
    tuned = patched(seeded(llama))
    expected = outputs(tuned)
    copied = copy.deepcopy(tuned)
    copied.set_attn_implementation("eager")
    torch.testing.assert_close(outputs(copied), expected, **close("eager"))
    assert attentions(tuned)[0].config._attn_implementation == "sdpa"
    attentions(copied)[0].prefix.data.zero_()
    assert torch.equal(outputs(tuned), expected)
    assert not torch.allclose(outputs(copied), expected, atol=1e-3)


def test_a_class_without_the_registry_is_refused() -> None:
    with pytest.raises(TypeError, match="Linear does not ask ALL_ATTENTION_FUNCTIONS"):
        patch(nn.Linear(2, 2), untouched)
