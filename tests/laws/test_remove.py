from collections.abc import Callable

import pytest
import torch
from torch import nn

import pefc

from ..models import BUILDERS, llama, output, perturb, plain
from .snapshots import Snapshot

SPECS = (
    "lora(r=2) on linear",
    "dora(r=2, dropout=0.1) on attn.{q,v}; ia3 on ffn; ssf on attn.o",
    "vera(r=2) on attn; lora(r=2) on attn.q; tune on ffn.down",
)


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_remove_restores_everything(build: Callable[[], nn.Module], spec: str) -> None:
    model = build()
    flags = [index % 2 == 0 for index, _ in enumerate(model.parameters())]
    for flag, parameter in zip(flags, model.parameters(), strict=True):
        parameter.requires_grad_(flag)
    next(module for module in model.modules() if isinstance(module, nn.Embedding)).train()
    before = Snapshot.of(model)
    values = output(model)
    assert pefc.apply(spec, model) is model
    perturb(model)
    assert not torch.equal(output(model), values)
    pefc.remove(model)
    before.assert_same(model)
    assert torch.equal(output(model), values)


def test_a_second_spec_goes_on_after_the_first_came_off() -> None:
    model = llama()
    before = Snapshot.of(model)
    for spec in ("lora(r=2) on attn.q", "dora(r=3) on ffn", "lora(r=4) on attn.q"):
        pefc.apply(spec, model)
        perturb(model)
        pefc.remove(model)
        before.assert_same(model)
    fresh = llama()
    torch.manual_seed(0)
    expected = output(pefc.apply("lora(r=2) on linear", fresh))
    torch.manual_seed(0)
    assert torch.equal(output(pefc.apply("lora(r=2) on linear", model)), expected)


def test_a_second_spec_on_top_is_a_diagnostic() -> None:
    model = pefc.apply("lora(r=2) on attn.q", llama())
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError, match="already-attached"):
        pefc.apply("ia3 on ffn", model)
    before.assert_same(model)
    assert before.parameters


def test_removing_from_a_bare_model_is_a_diagnostic() -> None:
    model = plain()
    before = Snapshot.of(model)
    for function in (pefc.remove, pefc.merge):
        with pytest.raises(pefc.SpecError, match="nothing-attached"):
            function(model)
    before.assert_same(model)


def test_remove_works_after_the_model_was_converted() -> None:
    model = pefc.apply("lora(r=2) on attn.q; tune on ffn.down", llama())
    perturb(model)
    pefc.remove(model.to(torch.bfloat16))
    fresh = llama().to(torch.bfloat16)
    for (name, value), (_, expected) in zip(
        model.state_dict().items(), fresh.state_dict().items(), strict=True
    ):
        assert torch.equal(value, expected), name
