"""Models whose base weights live in few bits."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from bitsandbytes import functional
from bitsandbytes.nn.modules import Linear4bit
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GPT2Config, GPT2LMHeadModel

import pefc
from pefc.runtime.quantized import read as reading
from pefc.runtime.quantized.form import is_packed

from ..models import llama, output, perturb, plain
from .bases import BUILDERS, FORMS, FOUR_BITS, plain_twin

pytestmark = pytest.mark.filterwarnings("ignore:.*distorted-weights")
"""Of GPT-2, whose inner width is 96."""

SPECS = (
    "lora(r=2) on attn.{q,v}, ffn",
    "dora(r=2) on attn.{q,v}, ffn",
    "pissa(r=2) on ffn",
    "olora(r=2) on attn.{q,v}",
    "hira(r=2) on ffn",
    "lokr(r=2) on attn.q; c3a(size=4) on attn.o; miss(r=2) on ffn",
    "ia3 on attn.k; adapter(r=2) on ffn; prefix(len=2, init=zero) all layers",
)
STARTS_EXACT = ("lora", "ia3", "hira", "lokr")
parametrized_by_model = pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)


def quantized(build: Callable[[], nn.Module], form: str, spec: str = "") -> nn.Module:
    return pefc.apply(f"quantize({form}) on linear\n{spec}", build())


@parametrized_by_model
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("spec", SPECS)
def test_an_untrained_adapter_leaves_the_quantized_base(
    build: Callable[[], nn.Module], form: str, spec: str
) -> None:
    before = output(quantized(build, form))
    model = quantized(build, form, spec)
    after = output(model)
    if spec.startswith(STARTS_EXACT):
        assert torch.equal(before, after)
    else:
        torch.testing.assert_close(before, after, atol=1e-4, rtol=0)
    assert torch.equal(output(pefc.remove(model)), before)
    assert not [name for name in model.state_dict() if "pefc" in name]


@parametrized_by_model
@pytest.mark.parametrize("form", FOUR_BITS)
@pytest.mark.parametrize("spec", SPECS)
def test_it_computes_what_the_values_say(
    build: Callable[[], nn.Module], form: str, spec: str
) -> None:
    """Outputs and gradients are those of plain modules with the dequantized weights."""
    model = quantized(build, form, spec)
    perturb(model)
    twin = pefc.apply(spec, plain_twin(quantized(build, form), build()))
    own = {name: p for name, p in model.named_parameters() if p.is_floating_point()}
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            if name in own:
                parameter.copy_(own[name])
    found, expected = output(model), output(twin)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    found.square().mean().backward()
    expected.square().mean().backward()
    for name, parameter in twin.named_parameters():
        if parameter.requires_grad:
            assert own[name].grad is not None, name
            torch.testing.assert_close(own[name].grad, parameter.grad, atol=1e-4, rtol=1e-3)
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)


def test_dora_never_holds_the_whole_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()

    def refuse(module: nn.Module) -> torch.Tensor:
        raise AssertionError(f"the weight of {module} is dequantized")

    monkeypatch.setattr(reading, "is_distorted", lambda _: False)  # it compares the values
    monkeypatch.setattr(reading, "values", refuse)
    pefc.apply("quantize(nf4, double) on linear; dora(r=2) on linear", model)
    output(model).sum().backward()


def test_a_row_norm_is_that_of_the_values() -> None:
    for form in FORMS:
        model = quantized(plain, form)
        for module in (model.a, model.wide, model.tall):
            expected = reading.values(module).square().sum(-1)  # pyright: ignore[reportArgumentType]
            torch.testing.assert_close(reading.row_squares(module), expected)  # pyright: ignore[reportArgumentType]


@parametrized_by_model
def test_saved_loaded_copied(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    model = quantized(build, "nf4, double, compute=fp32", "lora(r=2) on attn.q; dora(r=2) on ffn")
    perturb(model)
    expected = output(model)
    pefc.save(model, tmp_path / "out")
    assert torch.equal(output(pefc.load(build(), tmp_path / "out")), expected)
    assert torch.equal(output(deepcopy(model)), expected)
    base = quantized(build, "nf4, double, compute=fp32")
    assert torch.equal(output(pefc.load(base, tmp_path / "out")), expected)


def test_another_base_is_not_taken_for_the_quantized_one(tmp_path: Path) -> None:
    model = quantized(llama, "nf4", "lora(r=2) on attn.q")
    pefc.save(model, tmp_path / "out")
    other = llama()
    torch.manual_seed(9)
    nn.init.normal_(other.get_parameter("model.layers.1.mlp.up_proj.weight"), std=0.3)
    with pytest.raises(pefc.SpecError) as caught:
        pefc.load(other, tmp_path / "out")
    (found,) = caught.value.diagnostics
    assert [name for name, _ in found.differences] == ["model.layers.1.mlp.up_proj.weight"]  # pyright: ignore[reportAttributeAccessIssue]


@parametrized_by_model
def test_both_linkers_agree(build: Callable[[], nn.Module]) -> None:
    spec = "quantize(nf4, compute=fp32) on linear; lora(r=2) on attn.q; dora(r=2) on ffn"
    program = pefc.compile(spec, build())
    words = torch.arange(12).view(2, 6)
    graph = program.graph(input_ids=words, attention_mask=torch.ones_like(words))
    live = program.apply()(input_ids=words, attention_mask=torch.ones_like(words))
    torch.testing.assert_close(graph[0], live[0], atol=1e-6, rtol=0)


def test_a_failed_apply_leaves_the_plain_model(monkeypatch: pytest.MonkeyPatch) -> None:
    model = llama()
    before, modules = output(model), dict(model.named_modules())
    spec = "quantize(nf4) on linear; lora(r=2) on attn.q"

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no space")

    monkeypatch.setattr("pefc.compiler.link.live.patcher.Patching.patch", fail)
    with pytest.raises(RuntimeError, match="no space"):
        pefc.apply(spec, model)
    assert dict(model.named_modules()) == modules
    assert torch.equal(output(model), before)
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("double", [False, True])
def test_a_model_that_arrives_quantized(tmp_path: Path, double: bool) -> None:
    llama().save_pretrained(tmp_path / "base")
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=double,
        bnb_4bit_compute_dtype=torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(
        tmp_path / "base", quantization_config=config, dtype=torch.float32
    )
    before = output(model)
    pefc.apply("dora(r=2) on attn.q; lora(r=2) on ffn", model)
    torch.testing.assert_close(output(model), before, atol=1e-5, rtol=0)
    assert [p.is_there for p in pefc.plan(_same(double), pefc.remove(model)).packings] == [
        True
    ] * 14
    pefc.apply(f"{_same(double)}; lora(r=2) on attn.q", model)
    assert torch.equal(output(model), before)


def _same(double: bool) -> str:
    return f"quantize(nf4, {'double, ' if double else ''}compute=fp32) on linear"


def test_maps_of_bitsandbytes_placed_by_hand() -> None:
    model = plain()
    by_hand = Linear4bit(24, 24, compute_dtype=torch.float32, quant_type="fp4")
    by_hand.load_state_dict(model.a.state_dict())
    model.a = by_hand.to("cpu")
    assert is_packed(model.a)
    before = output(model)
    pefc.apply('lora(r=2) on "a"; dora(r=2) on attn.k', model)
    torch.testing.assert_close(output(model), before, atol=1e-5, rtol=0)


def test_evaluation_leaves_a_weight_as_it_is() -> None:
    """bitsandbytes would repack weights for some processors, and gradients would stop there."""
    model = quantized(llama, "nf4, double", "lora(r=2) on attn.q in layers 0")
    weight = model.get_parameter("model.layers.1.mlp.up_proj.weight")
    before = weight.clone()
    with torch.no_grad():
        output(model.eval())
    assert torch.equal(weight, before)
    output(model.train()).sum().backward()
    grown = model.get_parameter("model.layers.0.self_attn.q_proj.lora.B").grad
    assert grown is not None
    assert grown.abs().max() > 0


def test_tasks_on_a_quantized_base() -> None:
    spec = "task one { lora(r=2) on attn.q }\ntask two { dora(r=2) on attn.q }"
    model = quantized(llama, "nf4, compute=fp32", spec)
    perturb(model)
    words = torch.arange(12).view(2, 6)
    with pefc.tasks(model, ["one", "two"]):
        mixed = output(model, words)
    for row, name in enumerate(("one", "two")):
        pefc.set_task(model, name)
        torch.testing.assert_close(mixed[row], output(model, words)[row], atol=1e-5, rtol=0)


def test_ranks_are_cut_over_a_quantized_base(tmp_path: Path) -> None:
    spec = "adalora(r=4, target=2, steps=6) on attn.{q,v}"
    model = quantized(llama, "nf4, compute=fp32", spec).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(6):
        (output(model).square().mean() + pefc.regularizer(model)).backward()
        optimizer.step()
        optimizer.zero_grad()
    expected = output(model.eval())
    pefc.save(model, tmp_path / "out")
    found = output(pefc.load(llama(), tmp_path / "out"))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_a_task_does_not_quantize_the_base_of_others(tmp_path: Path) -> None:
    pefc.save(quantized(llama, "nf4", "lora(r=2) on ffn"), tmp_path / "out")
    model = pefc.apply("task b { lora(r=2) on ffn }", llama())
    with pytest.raises(pefc.SpecError, match="other-form"):
        pefc.load(model, tmp_path / "out", task="c")
    assert pefc.task_names(model) == ("b",)


@pytest.mark.parametrize("form", ["nf4", "nf4, double", "fp4"])
def test_a_base_that_was_repacked_is_what_it_was(form: str, tmp_path: Path) -> None:
    """Evaluated before a spec is applied: repacked by hand here, since few processors have it."""

    def base() -> nn.Module:
        torch.manual_seed(0)
        return pefc.apply(f"quantize({form}, compute=fp32) on :Linear", nn.Sequential(wide()))

    def wide() -> nn.Linear:
        return nn.Linear(256, 64)

    def repacked() -> nn.Module:
        model = base()
        weight = model[0].weight  # pyright: ignore[reportIndexIssue]
        weight.data, weight.quant_state = functional._convert_weight_packed_for_cpu(
            weight.data, weight.quant_state
        )
        return model

    x = torch.linspace(-1, 1, 512).view(2, 256)
    spec = 'pissa(r=2) on "0"'
    expected = pefc.apply(spec, base())
    found = pefc.apply(spec, repacked())
    close = {"rtol": 0.02, "atol": 0.02}
    torch.testing.assert_close(found(x), expected(x), **close)
    torch.testing.assert_close(pefc.merge(repacked(), into="fp32")(x), base()(x), **close)
    pefc.save(expected, tmp_path / "out")
    torch.testing.assert_close(pefc.load(repacked(), tmp_path / "out")(x), expected(x), **close)


@pytest.mark.parametrize("width", [40, 100])
def test_an_adapter_of_a_quantized_base_loads_into_its_base_of_any_width(
    width: int, tmp_path: Path
) -> None:
    """Also where all samples of a weight happen to be small beside its scales."""
    for seed in range(4):
        model = pefc.apply("quantize(nf4) on linear; lora(r=2) on attn.q", narrow(width, seed))
        pefc.save(model, tmp_path / str(seed))
        pefc.load(narrow(width, seed), tmp_path / str(seed))
        with pytest.raises(pefc.SpecError, match="other-base"):
            pefc.load(narrow(width, seed + 100), tmp_path / str(seed))


def narrow(width: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=64, n_embd=width, n_layer=2, n_head=2, n_positions=32)
    config.bos_token_id = config.eos_token_id = 0
    return GPT2LMHeadModel(config).eval()
