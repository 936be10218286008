"""Bases that were saved with quantized weights."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

import pefc
from pefc.runtime.files.model_folder import INDEX
from pefc.runtime.quantized.form import DTYPES

from ..models import gpt2, output, perturb
from .folders import Build, assert_same, loaded, merged, tensors

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*distorted-weights", "ignore:MatMul8bitLt", "ignore:.*lost up to"
)
SPEC = "lora(r=2) on attn.q; dora(r=2) on attn.o; tune on norm"
FORMS = ("nf4", "fp4 double", "int8")


def llama() -> LlamaForCausalLM:
    """With rows of whole blocks, which the kernels of bitsandbytes want."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return LlamaForCausalLM(config)


def saved(build: Build, form: str, dtype: torch.dtype, folder: Path, spec: str = SPEC) -> nn.Module:
    """A base that transformers has quantized and saved, and an adapter that was trained on what it
    reads of it; returns the base as it is read, with the adapter.
    """
    build().to(dtype).save_pretrained(folder / "plain")  # pyright: ignore[reportArgumentType]
    kind, _, double = form.partition(" ")
    config = BitsAndBytesConfig(
        load_in_8bit=kind == "int8",
        load_in_4bit=kind != "int8",
        bnb_4bit_quant_type=kind if kind != "int8" else "nf4",
        bnb_4bit_use_double_quant=bool(double),
        bnb_4bit_compute_dtype=torch.float32,
    )
    auto = type(build())
    quantized = auto.from_pretrained(folder / "plain", quantization_config=config, dtype=dtype)
    quantized.save_pretrained(folder / "base", max_shard_size="20KB")
    model = pefc.apply(spec, auto.from_pretrained(folder / "base").eval())
    perturb(model, scale=0.3)
    pefc.save(model, folder / "adapter")
    return pefc.load(auto.from_pretrained(folder / "base").eval(), folder / "adapter")


def same(folder: Path, model: nn.Module) -> None:
    """The folder holds what a model is now, bit for bit."""
    expected = folder / "expected"
    model.save_pretrained(expected, save_original_format=False)  # pyright: ignore[reportCallIssue]
    assert_same(folder / "out", expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("build", [llama, gpt2], ids=lambda build: build.__name__)
def test_into_a_dtype(build: Build, form: str, tmp_path: Path) -> None:
    """Plain transformers then reads a plain model."""
    dtype, into = (torch.bfloat16, "fp32") if build is llama else (torch.float32, "bf16")
    model = saved(build, form, dtype, tmp_path)
    assert len(list((tmp_path / "base").glob("*.safetensors"))) >= 2
    out = merged(tmp_path, into=DTYPES[into], loss=1.0)
    same(tmp_path, pefc.merge(model, into=into, loss=1.0))  # pyright: ignore[reportArgumentType]
    config = json.loads((out / "config.json").read_text())
    assert "quantization_config" not in config
    assert DTYPES[into] == getattr(torch, config["dtype"]) == loaded(out).dtype
    index = json.loads((out / INDEX).read_text())
    assert index["weight_map"].keys() == tensors(out).keys()
    with torch.no_grad():
        torch.testing.assert_close(output(loaded(out)), output(model))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("build", [llama, gpt2], ids=lambda build: build.__name__)
def test_requantized_it_is_stored_as_it_was(build: Build, form: str, tmp_path: Path) -> None:
    model = saved(build, form, torch.float32, tmp_path)
    out = merged(tmp_path, requantize=True)
    same(tmp_path, pefc.merge(model, requantize=True))
    before, after = tensors(tmp_path / "base"), tensors(out)
    assert before.keys() == after.keys()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    query = "layers.0.self_attn.q_proj.weight" if build is llama else "h.0.attn.c_attn.weight"
    assert any(name.endswith(query) for name in changed)
    assert not any("mlp" in name for name in changed)
    assert (out / "config.json").read_bytes() == (tmp_path / "base" / "config.json").read_bytes()
    assert type(loaded(out)) is type(build())


@pytest.mark.parametrize("form", ["nf4", "int8"])
def test_it_is_refused_with_the_loss_that_a_merge_in_memory_would_have(
    form: str, tmp_path: Path
) -> None:
    model = saved(llama, form, torch.float32, tmp_path)
    with pytest.raises(pefc.SpecError) as found:
        merged(tmp_path)
    with pytest.raises(pefc.SpecError) as expected:
        pefc.merge(model)
    assert [_facts(d) for d in found.value.diagnostics] == [
        _facts(d) for d in expected.value.diagnostics
    ]


def _facts(diagnostic: object) -> tuple[object, ...]:
    names = ("path", "form", "lost", "more")
    return (type(diagnostic), *(getattr(diagnostic, name, None) for name in names))


def test_what_no_method_changes_stays_quantized(tmp_path: Path) -> None:
    model = saved(llama, "nf4", torch.float32, tmp_path, spec="tune on norm")
    merged(tmp_path)
    same(tmp_path, pefc.merge(model))


def test_a_spec_that_quantizes_has_to_agree(tmp_path: Path) -> None:
    spec = "quantize({}, compute=fp32) on attn; lora(r=2) on attn.q"
    model = saved(llama, "nf4", torch.float32, tmp_path, spec=spec.format("nf4"))
    merged(tmp_path, into=torch.float32)
    same(tmp_path, pefc.merge(model, into="fp32"))
    plain = pefc.apply(spec.format("fp4"), llama())
    pefc.save(plain, tmp_path / "adapter")
    (tmp_path / "out").rename(tmp_path / "first")
    with pytest.raises(pefc.SpecError) as caught:
        merged(tmp_path, into=torch.float32)
    assert {d.code() for d in caught.value.diagnostics} <= {"other-form", "other-base"}


def test_a_state_that_is_none(tmp_path: Path) -> None:
    saved(llama, "nf4", torch.float32, tmp_path)
    for path in (tmp_path / "base").glob("*.safetensors"):
        found = load_file(path)
        for name in found:
            if ".quant_state." in name:
                found[name] = found[name].clone().fill_(ord("?"))
        save_file(found, path, metadata={"format": "pt"})
    with pytest.raises(pefc.SpecError) as caught:
        merged(tmp_path, into=torch.float32)
    assert [d.code() for d in caught.value.diagnostics] == ["damaged-checkpoint"]
