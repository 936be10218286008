from collections.abc import Callable

import pytest
import torch
from torch import nn

import pefc

from ..models import BUILDERS, bert, gpt2, llama, output, perturb, plain
from .snapshots import Snapshot

SPECS = (
    "lora(r=2, alpha=5, dropout=0.2) on linear",
    "dora(r=2) on attn.{q,v}; ia3 on attn.{q,k}; ia3(input) on ffn.down; hira(r=2) on attn.o",
    "vera(r=2) on attn; lora(r=2) on attn.{q,v}; loha(r=2) on ffn; tune on ffn.down",
    "lora(r=2) on attn.q; dora(r=2) on attn.q; ia3 on attn.q",
)
BIASED = "ssf on linear; lora(r=2) on linear"


def assert_bare(model: nn.Module) -> None:
    """No trace of a spec."""
    assert "_pefc" not in model.__dict__
    assert all("pefc_base" not in vars(type(module)) for module in model.modules())


# A Llama has no biases for `ssf` to merge into: another test holds that this is an error.
CASES = [
    (build, spec)
    for build in BUILDERS
    for spec in (*SPECS, BIASED)
    if build is not llama or spec != BIASED
]


@pytest.mark.parametrize(("build", "spec"), CASES)
def test_merging_keeps_the_function(build: Callable[[], nn.Module], spec: str) -> None:
    model = build().double()
    keys = list(model.state_dict())
    base = output(model)
    pefc.apply(spec, model)
    perturb(model)
    adapted = output(model)
    assert (adapted - base).abs().max() > 1e-2
    assert pefc.merge(model) is model
    assert_bare(model)
    assert list(model.state_dict()) == keys
    merged = output(model)
    assert not torch.equal(merged, base)
    torch.testing.assert_close(merged, adapted, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("build", [llama, gpt2, plain], ids=lambda build: build.__name__)
def test_a_kept_base_comes_back_exactly(build: Callable[[], nn.Module], spec: str) -> None:
    model = build()
    before = Snapshot.of(model)
    pefc.apply(spec, model)
    perturb(model)
    pefc.remove(pefc.merge(model, keep_base=True))
    before.assert_same(model)


def test_without_the_base_a_merge_is_final() -> None:
    model = pefc.merge(pefc.apply("lora(r=2) on attn.q", llama()))
    with pytest.raises(pefc.SpecError, match="nothing-attached"):
        pefc.remove(model)


def test_another_spec_goes_on_after_a_merge() -> None:
    model = pefc.apply("lora(r=2) on attn.q", llama())
    perturb(model)
    merged = output(pefc.merge(model))
    assert torch.equal(output(pefc.apply("lora(r=2) on attn.q", model)), merged)


def test_a_kept_base_comes_back_from_under_another_spec() -> None:
    model = llama()
    before = Snapshot.of(model)
    for seed in (1, 2):
        pefc.apply("lora(r=2) on attn.q; tune on norm", model)
        perturb(model, seed=seed)
        pefc.merge(model, keep_base=True)
    pefc.apply("dora(r=2) on ffn", model)
    pefc.remove(model)
    pefc.remove(model)
    before.assert_same(model)


def assert_refused(spec: str, model: nn.Module, code: str, **options: float) -> None:
    pefc.apply(spec, model)
    perturb(model, scale=options.pop("scale", 0.3))
    before = Snapshot.of(model)
    values = output(model)
    with pytest.raises(pefc.SpecError, match=code):
        pefc.merge(model, **options)
    before.assert_same(model)
    assert torch.equal(output(model), values)


RELU = """
method bent(r: int = 2) on linear {
  A: [r, in]  ~ kaiming(sqrt(5))
  B: [out, r] = 0
  output += relu(x @ A.T) @ B.T
}
bent on attn.q
"""


def test_what_is_not_affine_does_not_merge() -> None:
    assert_refused(RELU, llama(), "not-affine")


def test_a_constant_needs_a_bias_to_merge_into() -> None:
    assert_refused("ssf on attn.q", llama(), "no-bias-to-merge")


def test_a_tied_weight_does_not_merge() -> None:
    assert_refused("lora(r=2) on head", llama(tied=True), "tied-merge")


def test_a_merge_that_16_bits_would_lose_is_refused_and_can_be_accepted() -> None:
    spec, scale = "lora(r=2) on linear", 1e-3
    assert_refused(spec, llama().to(torch.bfloat16), "lossy-merge", scale=scale)
    model = pefc.apply(spec, llama().to(torch.bfloat16))
    perturb(model, scale=scale)
    pefc.merge(model, loss=1.0)
    assert_bare(model)


def test_a_bias_that_16_bits_would_lose_is_refused() -> None:
    assert_refused("beft on attn.q", bert().to(torch.bfloat16), "lossy-merge", scale=1e-5)


def test_a_large_update_merges_in_16_bits() -> None:
    model = pefc.apply("lora(r=2) on linear", llama().to(torch.bfloat16))
    perturb(model)
    assert_bare(pefc.merge(model))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_do_not_merge(value: float) -> None:
    model = pefc.apply("lora(r=2) on attn.q", llama())
    perturb(model)
    with torch.no_grad():
        model.model.layers[0].self_attn.q_proj.lora.B[0, 0] = value
    with pytest.raises(pefc.SpecError, match="not-finite"):
        pefc.merge(model, loss=1.0)


def test_a_tuned_weight_stays_after_a_merge() -> None:
    model = pefc.apply("lora(r=2) on attn.q; tune on norm", llama())
    perturb(model)
    norm = model.model.norm.weight.detach().clone()
    pefc.merge(model)
    assert torch.equal(model.model.norm.weight, norm)
    assert all(parameter.requires_grad for parameter in model.parameters())
