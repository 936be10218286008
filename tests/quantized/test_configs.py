"""What a saved folder says of quantized weights, and how transformers reads it again."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import peft
import pytest
import torch
from torch import nn
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

import pefc
from pefc.compiler.link.live import install as live

from ..models import bert, gpt2, llama, output, perturb, words
from .bases import assert_same, packed_paths, read, says_so

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*distorted-weights"),  # of GPT-2, whose inner width is 96
    pytest.mark.filterwarnings("ignore:MatMul8bitLt"),
]
NF4 = "quantize(nf4, double, compute=fp32) on linear"
MIXED = "quantize(nf4, double, compute=fp32) on attn; quantize({}) on ffn"


def tied() -> LlamaForCausalLM:
    return llama(tied=True)


@pytest.mark.parametrize("form", ["nf4, double, compute=fp32", "nf4", "fp4", "int8"])
@pytest.mark.parametrize("build", [llama, tied, gpt2, bert], ids=lambda build: build.__name__)
def test_a_saved_base_is_read_again(
    build: Callable[[], PreTrainedModel], form: str, tmp_path: Path
) -> None:
    kind = AutoModel if build is bert else AutoModelForCausalLM
    model = pefc.apply(f"quantize({form}) on linear; lora(r=2) on attn.q, ffn", build())
    perturb(model)
    pefc.save(model, tmp_path / "adapter")
    model.save_pretrained(tmp_path / "whole")
    pefc.remove(model)
    model.save_pretrained(tmp_path / "base")
    read_again = [read(tmp_path / folder, kind) for folder in ("whole", "base")]
    for found in read_again:
        assert_same(found, model)  # before any call: bitsandbytes casts biases at the first one
    expected = output(model), output(pefc.load(model, tmp_path / "adapter"))
    for found in read_again:
        assert torch.equal(output(found), expected[0])
        assert torch.equal(output(pefc.load(found, tmp_path / "adapter")), expected[1])


def test_models_of_one_base_read_each_others_folders(tmp_path: Path) -> None:
    """A head, too, may be quantized, and other maps not."""
    model = pefc.apply("quantize(nf4) on attn.{q,v}, head", llama())
    model.save_pretrained(tmp_path / "whole")
    model.model.save_pretrained(tmp_path / "part")
    maps = [path.removeprefix("model.") for path in packed_paths(model)]
    assert maps[-1] == "lm_head"
    assert packed_paths(read(tmp_path / "whole")) == packed_paths(model)
    assert packed_paths(read(tmp_path / "whole", AutoModel)) == maps[:-1]
    assert packed_paths(read(tmp_path / "part", AutoModel)) == maps[:-1]


@pytest.mark.parametrize("second", ["int8", "nf4, compute=fp32", "nf4, double, compute=bf16"])
def test_weights_of_two_forms_are_not_saved(second: str, tmp_path: Path) -> None:
    spec = f"{MIXED.format(second)}; lora(r=2) on attn.q"
    llama().save_pretrained(tmp_path / "plain")
    model = pefc.base(spec, tmp_path / "plain", dtype=torch.float32)
    perturb(pefc.apply(spec, model))
    expected = output(model)
    assert torch.equal(output(pefc.apply(MIXED.format(second), llama())), output(bare(model)))
    for part in (model, bare(model), model.model, deepcopy(model)):
        with pytest.raises(pefc.SpecError, match="no-quantization-config"):
            part.save_pretrained(tmp_path / "out")  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    assert not (tmp_path / "out").exists()
    pefc.save(model, tmp_path / "adapter")
    fresh = pefc.load(
        pefc.base(spec, tmp_path / "plain", dtype=torch.float32), tmp_path / "adapter"
    )
    assert torch.equal(output(fresh), expected)
    pefc.merge(model, into="fp32").save_pretrained(tmp_path / "out")  # pyright: ignore[reportCallIssue]
    assert torch.equal(output(read(tmp_path / "out")), output(model))


def bare(model: nn.Module) -> nn.Module:
    return pefc.remove(deepcopy(model))


def test_what_transformers_never_quantizes_is_not_saved(tmp_path: Path) -> None:
    """T5 keeps its last maps in floating point: a folder in which they are not is none of it."""
    sizes = {"vocab_size": 64, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_heads": 2}
    config = T5Config(**sizes, num_layers=1, decoder_start_token_id=0)  # pyright: ignore[reportCallIssue]
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "plain")
    spec = "quantize(int8) on linear"
    whole = pefc.base(spec, tmp_path / "plain")
    assert any(path.endswith("wo") for path in packed_paths(whole))
    with pytest.raises(pefc.SpecError, match="no-quantization-config") as caught:
        whole.save_pretrained(tmp_path / "out")  # pyright: ignore[reportCallIssue]
    (found,) = caught.value.diagnostics
    assert "wo` in floating point" in found.reason  # pyright: ignore[reportAttributeAccessIssue]
    model = pefc.base(f"{spec} except ffn.down", tmp_path / "plain")
    model.save_pretrained(tmp_path / "out")  # pyright: ignore[reportCallIssue]
    found = read(tmp_path / "out", T5ForConditionalGeneration)
    assert_same(found, model)
    given = {"input_ids": words(), "decoder_input_ids": words()}
    assert torch.equal(found(**given).logits, model(**given).logits)


def test_a_failed_apply_leaves_what_a_model_says(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    said = {name: dict(module.__dict__) for name, module in model.named_modules()}
    before = model.config.to_dict()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no space")

    monkeypatch.setattr(live, "remember", fail)
    with pytest.raises(RuntimeError, match="no space"):
        pefc.apply(f"{NF4}; lora(r=2) on attn.q", model)
    assert model.config.to_dict() == before
    assert not hasattr(model.config, "_is_quantized")
    for name, module in model.named_modules():
        assert module.__dict__.keys() == said[name].keys(), name
        assert module.__dict__.get("config") is said[name].get("config"), name


def test_models_of_one_configuration_do_not_share_what_they_say(tmp_path: Path) -> None:
    config = llama().config
    quantized, plain = (LlamaForCausalLM(config).eval() for _ in range(2))
    pefc.apply(NF4, quantized)
    assert {id(m.config) for m in quantized.modules() if "config" in m.__dict__} == {
        id(quantized.config)
    }
    plain.save_pretrained(tmp_path / "plain")
    assert not says_so(tmp_path / "plain")
    assert torch.equal(output(read(tmp_path / "plain")), output(plain))


def test_a_model_is_cast_and_counted_as_before() -> None:
    model = pefc.apply(NF4, llama())
    assert model.num_parameters() == llama().num_parameters()
    for cast in (model.half, model.bfloat16, model.float):
        assert cast() is model
    assert model.to(torch.bfloat16).to("cpu").dtype == torch.bfloat16  # pyright: ignore[reportArgumentType]
    assert pefc.apply("quantize(int8) on linear", llama()).half().dtype == torch.float16


def test_peft_takes_the_base() -> None:
    for form, kind in (("nf4", "Linear4bit"), ("int8", "Linear8bitLt")):
        model = pefc.apply(f"quantize({form}) on linear", llama())
        adapted = peft.get_peft_model(model, peft.LoraConfig(target_modules=["q_proj"]))
        found = type(adapted.get_submodule("base_model.model.model.layers.0.self_attn.q_proj"))
        assert (found.__module__, found.__name__) == ("peft.tuners.lora.bnb", kind)


def test_a_part_of_a_module_of_torch_says_what_it_is(tmp_path: Path) -> None:
    whole = pefc.apply(NF4, nn.ModuleDict({"inner": llama()}))
    whole.inner.save_pretrained(tmp_path / "out")  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    assert_same(read(tmp_path / "out"), whole.inner)  # pyright: ignore[reportArgumentType]
    assert whole.state_dict().keys() == {f"inner.{n}" for n in whole.inner.state_dict()}  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue, reportGeneralTypeIssues]


def test_a_spec_adds_to_what_arrived(tmp_path: Path) -> None:
    """A folder with some quantized weights is read as it is, and the rest follows."""
    pefc.apply("quantize(nf4) on attn.q in layers 0..0", llama()).save_pretrained(tmp_path / "some")
    model = pefc.base("quantize(nf4) on linear", tmp_path / "some")
    assert len(packed_paths(model)) == 14
    model.save_pretrained(tmp_path / "all")  # pyright: ignore[reportCallIssue]
    assert_same(read(tmp_path / "all"), model)
    assert_same(pefc.base("quantize(nf4) on linear", tmp_path / "all"), model)
    with pytest.raises(pefc.SpecError, match="other-form"):
        pefc.base("quantize(int8) on linear", tmp_path / "all")


def test_what_a_model_says_of_itself_stays_where_it_is_true(tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "plain")
    config = BitsAndBytesConfig(load_in_8bit=True, llm_int8_threshold=3.0)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "plain", quantization_config=config)
    pefc.apply("quantize(int8) on linear", model)
    assert model.config.quantization_config.llm_int8_threshold == 3.0
    model.save_pretrained(tmp_path / "out")
    assert torch.equal(output(read(tmp_path / "out")), output(model))


def test_a_failed_apply_leaves_what_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One threshold of outliers holds for a folder: maps with another one are not saved in it."""
    llama().save_pretrained(tmp_path / "plain")
    config = BitsAndBytesConfig(
        load_in_8bit=True, llm_int8_threshold=3.0, llm_int8_skip_modules=["lm_head", "up_proj"]
    )
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "plain", quantization_config=config)
    said, before = model.config, model.config.to_dict()

    def fail(*_: object) -> None:
        raise RuntimeError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(live, "remember", fail)
        with pytest.raises(RuntimeError, match="no space"):
            pefc.apply("quantize(int8) on linear; lora(r=2) on attn.q", model)
    assert model.config is said
    assert model.config.to_dict() == before
    assert model.hf_quantizer.quantization_config is said.quantization_config
    pefc.apply("quantize(int8) on linear", model)
    with pytest.raises(pefc.SpecError, match="no-quantization-config"):
        model.save_pretrained(tmp_path / "out")


@pytest.mark.parametrize("form", ["nf4", "fp4, double", "int8"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_values_that_are_not_finite_are_not_quantized(
    form: str, value: float, tmp_path: Path
) -> None:
    model = llama()
    for path in ("model.layers.0.mlp.up_proj", "model.layers.1.mlp.up_proj"):
        model.get_submodule(path).weight.data[2, 3] = value  # pyright: ignore[reportCallIssue, reportIndexIssue]
    model.save_pretrained(tmp_path / "plain")
    before, said = dict(model.named_modules()), model.config
    spec = f"quantize({form}) on linear; lora(r=2) on attn.q"
    for attempt in (lambda: pefc.apply(spec, model), lambda: pefc.base(spec, tmp_path / "plain")):
        with pytest.raises(pefc.SpecError) as caught:
            attempt()
        (found,) = caught.value.diagnostics
        assert (found.code(), found.path, found.more) == (  # pyright: ignore[reportAttributeAccessIssue]
            "not-finite-weight",
            "model.layers.0.mlp.up_proj",
            1,
        )
    assert dict(model.named_modules()) == before
    assert model.config is said
