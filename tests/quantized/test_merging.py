"""What becomes of a quantized weight when an adapter is folded into it."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

import pefc
from pefc.runtime.quantized.form import form, is_packed

from ..models import gpt2, llama, output, perturb
from .bases import BUILDERS

pytestmark = pytest.mark.filterwarnings("ignore:.*distorted-weights")
"""Of GPT-2, whose inner width is 96."""

SPEC = "quantize(nf4, double, compute=fp32) on linear; lora(r=2) on attn.{q,v}, ffn"


def trained(build: Callable[[], nn.Module] = llama, spec: str = SPEC) -> nn.Module:
    model = pefc.apply(spec, build())
    perturb(model)
    return model.eval()


def test_a_merge_is_refused_with_the_loss_that_it_would_have() -> None:
    model = trained()
    expected = output(model)
    with pytest.raises(pefc.SpecError) as caught:
        pefc.merge(model)
    (found,) = caught.value.diagnostics
    assert found.code() == "quantized-merge"
    assert 0.01 < found.lost < 1  # pyright: ignore[reportAttributeAccessIssue]
    assert found.more == 9  # pyright: ignore[reportAttributeAccessIssue]
    assert torch.equal(output(model), expected)


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_into_a_dtype_gives_a_plain_model(build: Callable[[], nn.Module]) -> None:
    model = trained(build)
    expected = output(model)
    pefc.merge(model, into="fp32")
    assert not any(is_packed(module) for module in model.modules())
    torch.testing.assert_close(output(model), expected, atol=1e-4, rtol=0)
    pefc.merge(half := trained(build), into="bf16")
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}
    kept = [b.dtype for name, b in half.named_buffers() if name.endswith("inv_freq")]
    assert set(kept) <= {torch.float32}
    difference = output(half).float() - expected
    assert difference.abs().max() < 0.05 * expected.abs().max()


def test_requantized_it_says_what_was_lost() -> None:
    model = trained()
    expected = output(model)
    kinds = {name: form(module) for name, module in model.named_modules() if is_packed(module)}
    with pytest.warns(pefc.SpecWarning, match=r"lost up to \d+\.\d% of an update"):
        pefc.merge(model, requantize=True)
    after = {name: form(module) for name, module in model.named_modules() if is_packed(module)}
    assert after == kinds
    assert 0 < (output(model) - expected).abs().max() < expected.abs().max()


def test_a_merge_that_keeps_the_base_can_be_taken_back() -> None:
    base = pefc.apply("quantize(nf4, double, compute=fp32) on linear", gpt2())
    expected = output(base)
    model = trained(gpt2)
    with pytest.warns(pefc.SpecWarning, match="lost"):
        pefc.merge(model, requantize=True, keep_base=True)
    assert not torch.equal(output(model), expected)
    assert torch.equal(output(pefc.remove(model)), expected)


def test_what_cannot_be_is_said() -> None:
    model = trained()
    with pytest.raises(ValueError, match="bf16, fp16, fp32"):
        pefc.merge(model, into="bf17")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="keep its base"):
        pefc.merge(model, into="bf16", keep_base=True)
