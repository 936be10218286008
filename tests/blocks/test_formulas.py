"""Each method on each kind of block, against its formula in 64 bits."""

import inspect
from collections.abc import Iterator
from copy import deepcopy
from functools import cache

import pytest
import torch
from torch import Tensor, nn

import pefc
from pefc.compiler.plan import planner as planning
from pefc.compiler.plan.plan import Planned

from ..models import bert, gpt2, llama, perturb
from ..runtime.prompt_models import t5
from .formulas import ENDS, FORMULAS, Formula, Values, bottleneck, loreft
from .models import KINDS, Block, Kind, Value, computed

RELATIVE = 1e-9
_BUILT = {kind.name: kind.build().double() for kind in KINDS}


@pytest.fixture(scope="module", autouse=True)
def _models_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "find_sites", cache(planning.find_sites))
        yield


def applied(spec: str, base: nn.Module) -> tuple[nn.Module, pefc.Plan]:
    """A copy with perturbed methods."""
    plan = pefc.compile(spec, base).plan
    model = pefc.Program(plan, deepcopy(base)).apply()
    perturb(model)
    return model, plan


class Calls:
    """What modules are called with, and what they return, during one call of a model."""

    def __init__(self, model: nn.Module, paths: set[str]) -> None:
        self.given: dict[str, dict[str, object]] = {}
        self.returned: dict[str, object] = {}
        self.handles = [
            model.get_submodule(path).register_forward_hook(self._noting(path), with_kwargs=True)
            for path in paths
        ]

    def _noting(self, path: str) -> object:
        def hook(module: nn.Module, args: object, kwargs: dict[str, object], out: object) -> None:
            names = inspect.signature(module.forward).bind(*args, **kwargs)  # type: ignore[misc]
            self.given[path] = dict(names.arguments)
            self.returned[path] = out

        return hook

    def value(self, value: Value) -> Tensor:
        found = self.given[value.module][value.name]
        assert isinstance(found, Tensor)
        return found


def first(output: object) -> Tensor:
    found = output[0] if isinstance(output, tuple) else output
    assert isinstance(found, Tensor)
    return found


def assert_close(found: Tensor, expected: Tensor) -> None:
    assert (found - expected).abs().max() <= RELATIVE * expected.abs().max()


def tensors(model: nn.Module, planned: Planned) -> dict[str, Tensor]:
    return {t.name: model.get_parameter(planned.path(t)) for t in planned.tensors}


def check(kind: Kind, base: nn.Module, spec: str, formula: Formula) -> None:
    """y at every block is what the formula makes of what passes there, and the residual is added
    to that.
    """
    model, plan = applied(spec, base)
    values = (v for b in kind.blocks for v in (b.x, b.residual, b.join) if v is not None)
    calls = Calls(model, {v.module for v in values} | {block.exit for block in kind.blocks})
    with torch.no_grad():
        result = computed(model)
        assert (result - computed(base)).abs().max() > 1e-3
        for block, planned in zip(kind.blocks, _in_order(plan, kind), strict=True):
            _check_block(block, tensors(model, planned), calls, base, formula)
            y, residual = first(calls.returned[block.exit]), calls.value(block.residual)
            assert_close(result if block.join is None else calls.value(block.join), y + residual)


def _in_order(plan: pefc.Plan, kind: Kind) -> list[Planned]:
    by_home = {planned.home: planned for planned in plan.attachments}
    assert len(by_home) == len(plan.attachments)
    return [by_home[block.exit] for block in kind.blocks]


def _check_block(
    block: Block, t: dict[str, Tensor], calls: Calls, base: nn.Module, formula: Formula
) -> None:
    y = first(base.get_submodule(block.exit)(**calls.given[block.exit]))
    norm = (lambda z: z) if block.norm is None else base.get_submodule(block.norm)
    at = Values(calls.value(block.x), y, calls.value(block.residual), norm)
    found = first(calls.returned[block.exit])
    assert not torch.equal(found, y)
    assert_close(found, formula(at, t))


@pytest.mark.parametrize("call", FORMULAS)
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_block_gives_what_the_formula_says(kind: Kind, call: str) -> None:
    check(kind, _BUILT[kind.name], f"{call} on attn, xattn?, ffn", FORMULAS[call])


@pytest.mark.parametrize("kind", KINDS[:5], ids=lambda kind: kind.name)
def test_houlsby_is_two_bottlenecks_a_layer_and_the_norms(kind: Kind) -> None:
    base = _BUILT[kind.name]
    norms = {
        n for n, m in base.named_modules() if "norm" in n.lower() or n.split(".")[-1][:2] == "ln"
    }
    model, plan = applied("houlsby(r=3, init=houlsby)", base)
    tuned = {name.rpartition(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    added = {
        f"{planned.home}.adapter.{part}" for planned in plan.attachments for part in ("down", "up")
    }
    assert tuned == norms | added
    assert {planned.home for planned in plan.attachments} == {block.exit for block in kind.blocks}
    call = "adapter(r=3, init=houlsby) on attn, xattn?, ffn"
    check(kind, base, call, bottleneck("sequential", torch.relu, 1))


@pytest.mark.parametrize("kind", KINDS[:5], ids=lambda kind: kind.name)
def test_ln_tuning_trains_the_norms_and_nothing_else(kind: Kind) -> None:
    model = deepcopy(_BUILT[kind.name])
    with torch.no_grad():
        before = computed(model)
        pefc.apply("ln_tuning on norm", model)
        assert torch.equal(computed(model), before)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    kinds = (nn.LayerNorm,)
    found = {
        f"{path}.{name}"
        for path, module in model.named_modules()
        if isinstance(module, kinds) or type(module).__name__ in {"LlamaRMSNorm", "T5LayerNorm"}
        for name, _ in module.named_parameters(recurse=False)
    }
    assert trained == found
    assert found


PATHS = {
    "llama": (
        llama,
        'adapter(r=3) on "mlp", "self_attn"',
        ("model.layers.0.mlp", "model.layers.1.self_attn"),
    ),
    "gpt2": (gpt2, "adapter(r=3) on layer", ("transformer.h.0", "transformer.h.1")),
    "bert": (bert, 'adapter(r=3) on "attention"', ("encoder.layer.0.attention",)),
    "t5": (t5, "adapter(r=3) on layer", ("encoder.block.0", "decoder.block.1")),
    "class": (
        t5,
        "adapter(r=3) on :T5LayerFF",
        ("encoder.block.0.layer.1", "decoder.block.1.layer.2"),
    ),
}


@pytest.mark.parametrize("name", PATHS)
def test_a_block_named_by_path_or_class_is_the_output_of_its_module(name: str) -> None:
    build, spec, paths = PATHS[name]
    base = build().double()
    model, plan = applied(spec, base)
    calls = Calls(model, set(paths))
    computed(model)
    formula = bottleneck("sequential", torch.relu, 1)
    at = {planned.home: planned for planned in plan.attachments}
    for path in paths:
        whole = base.get_submodule(path)(**calls.given[path])
        y, found = first(whole), calls.returned[path]
        values = Values(y, y, y, lambda z: z)
        assert_close(first(found), formula(values, tensors(model, at[path])))
        if isinstance(whole, tuple):
            assert isinstance(found, tuple)
            assert len(found) == len(whole)


def test_the_first_and_last_tokens_of_padded_texts_are_meant() -> None:
    base = llama().double()
    model, plan = applied(f"loreft(r=3, {ENDS}) on layer in layers 0", base)
    ids = torch.randint(2, 64, (2, 6), generator=torch.Generator().manual_seed(3))
    mask = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]])
    calls = Calls(model, {"model.layers.0"})
    model(ids, attention_mask=mask, use_cache=False)
    y = first(base.model.layers[0](**calls.given["model.layers.0"]))
    t = tensors(model, plan.attachments[0])
    for row, (start, stop) in enumerate(((2, 6), (0, 5))):
        text = y[row, start:stop]
        expected = y[row].clone()
        expected[start:stop] = loreft(Values(text, text, text, lambda z: z), t)
        assert_close(first(calls.returned["model.layers.0"])[row], expected)


def test_encoder_and_decoder_have_texts_of_their_own() -> None:
    model, _ = applied(f"loreft(r=3, {ENDS}) on layer", t5().double())
    generator = torch.Generator().manual_seed(3)
    ids, answer = (torch.randint(2, 64, (2, n), generator=generator) for n in (6, 4))
    padded = torch.cat((torch.ones(2, 2, dtype=torch.long), ids), 1)
    mask = (torch.arange(8) > 1).expand(2, 8).long()
    with torch.no_grad():
        # Relative positions make padding in front of a T5 encoder a matter of its mask alone.
        expected = model(ids, decoder_input_ids=answer, use_cache=False).logits
        found = model(padded, attention_mask=mask, decoder_input_ids=answer, use_cache=False).logits
        assert_close(found, expected)
        ones = torch.ones_like(ids)
        written = model.generate(ids, attention_mask=ones, max_new_tokens=3, do_sample=False)
        start = written[:, :1]
        again = model(ids, decoder_input_ids=start, use_cache=False).logits[:, -1].argmax(-1)
    assert torch.equal(written[:, 1], again)


def test_what_a_patch_asks_a_projection_is_no_input_of_the_block() -> None:
    """Where x passes into the keys' map, and an attention's method calls this map itself."""
    base = _BUILT["sdpa"]
    spec = "parallel_adapter(r=3) on attn; llama_adapter(len=2) on attn"
    model, plan = applied(spec, base)
    calls = Calls(model, {"s.0.d", "s.0.m"})
    computed(model)
    x = first(calls.returned["s.0.m"])
    y = first(base.get_submodule("s.0.d")(**calls.given["s.0.d"]))
    formula = FORMULAS["parallel_adapter(r=3)"]
    expected = formula(Values(x, y, y, lambda z: z), tensors(model, plan.attachments[0]))
    assert_close(first(calls.returned["s.0.d"]), expected)
