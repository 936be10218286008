"""Quantized models that become plain ones: nothing in them says what they were."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel

import pefc

from ..models import llama, output, perturb
from .bases import assert_same, packed_paths, read, says_so

pytestmark = pytest.mark.filterwarnings("ignore:MatMul8bitLt")


def by_spec(form: str, folder: Path) -> PreTrainedModel:
    del folder
    return pefc.apply(f"quantize({form}) on linear", llama())


def by_base(form: str, folder: Path) -> PreTrainedModel:
    llama().save_pretrained(folder / "plain")
    return pefc.base(f"quantize({form}) on linear", folder / "plain")  # pyright: ignore[reportReturnType]


def by_config(form: str, folder: Path) -> PreTrainedModel:
    llama().save_pretrained(folder / "plain")
    config = (
        BitsAndBytesConfig(load_in_8bit=True)
        if form == "int8"
        else BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=form)
    )
    return AutoModelForCausalLM.from_pretrained(folder / "plain", quantization_config=config)


def by_folder(form: str, folder: Path) -> PreTrainedModel:
    """A folder of quantized weights, which transformers itself does not write twice."""
    by_spec(form, folder).save_pretrained(folder / "quantized")
    return AutoModelForCausalLM.from_pretrained(folder / "quantized")


@pytest.mark.parametrize("adapted", [True, False])
@pytest.mark.parametrize("form", ["nf4", "int8"])
@pytest.mark.parametrize(
    "build", [by_spec, by_base, by_config, by_folder], ids=lambda build: build.__name__
)
def test_a_model_made_plain_leaves_no_trace(
    build: Callable[[str, Path], PreTrainedModel], form: str, adapted: bool, tmp_path: Path
) -> None:
    model = build(form, tmp_path)
    if adapted:
        perturb(pefc.apply("lora(r=2) on attn.q, ffn", model))
    pefc.merge(model, into="bf16")
    llama().save_pretrained(tmp_path / "never")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "never")
    assert model.__dict__.keys() <= plain.__dict__.keys()
    assert model.config.__dict__.keys() <= plain.config.__dict__.keys()
    model.save_pretrained(tmp_path / "out")
    assert not says_so(tmp_path / "out")
    found = read(tmp_path / "out")
    assert not packed_paths(found)
    assert_same(found, model)
    assert torch.equal(output(found), output(model))
    pefc.merge(pefc.apply("lora(r=2) on attn.q", model))


def test_a_base_without_an_adapter_becomes_plain_or_stays() -> None:
    model = pefc.apply("quantize(nf4, double, compute=fp32) on linear", llama())
    expected = output(model)
    for requantize in (False, True):
        with pytest.raises(pefc.SpecError, match="nothing-attached"):
            pefc.merge(model, requantize=requantize)
    assert len(packed_paths(model)) == 14
    torch.testing.assert_close(output(pefc.merge(model, into="fp32")), expected, atol=1e-4, rtol=0)
    with pytest.raises(pefc.SpecError, match="nothing-attached"):
        pefc.merge(model, into="fp32")
