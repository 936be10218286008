"""What attaching leaves as it was, on whole models."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import nn

import pefc
from pefc.compiler.plan import planner as planning
from pefc.compiler.prove.identity import Identity
from pefc.dsl.parsing import library

from ..blocks.models import computed, vit
from ..models import BUILDERS, bert, gpt2, llama, output, plain, sdpa
from ..runtime.prompt_models import t5

DTYPES = (torch.float32, torch.bfloat16, torch.float64)
NOT_YET = {"no-bias", "not-compiled"}
"""What stops a method that other sites or later versions compile."""

TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 0.1, torch.float64: 1e-12}
"""Relative to the largest output: two layers of rounding in each dtype."""

AROUND_EXACT = {
    "adapter(form=parallel)",
    "adapter(form=pfeiffer)",
    "adapter(form=sequential)",
    "compacter",
    "direft",
    "llama_adapter(len=3)",
    "parallel_adapter",
    "pfeiffer",
    "prefix(len=3, init=zero)",
    "prefix(len=3, mlp=4, init=zero)",
}
AROUND_ROUNDING = {"loreft"}
AROUND_CHANGES = {
    "adapter(init=bert)",
    "adapter(init=houlsby)",
    "compacter(init=paper)",
    "direft(init=paper)",
    "loreft(init=paper)",
    "pfeiffer(init=houlsby)",
    "prefix(len=3)",
    "prefix(len=3, mlp=4)",
    "prefix(len=3, shift)",
    "prefix_mlp(len=3)",
    "prompt(len=3)",
    "prompt(len=3, init=vocab)",
    "p_tuning(len=3, h=4)",
    "p_tuning(len=3, h=4, encoder=lstm)",
}
"""Of methods on blocks, attentions and tokens."""

EXACT = {
    "adalora",
    "beft",
    "bitfit",
    "delora",
    "gralora",
    "ia3",
    "lokr",
    "lora",
    "miss",
    "peanut",
    "road",
    "rslora",
    "ssf",
    "vera",
}
ROUNDING = {
    "boft",
    "c3a",
    "deft",
    "dora",
    "fourierft",
    "glora",
    "hira",
    "hra",
    "loha",
    "oft",
    "olora",
    "osf",
    "pissa",
    "psoft",
    "shira",
}


def calls() -> list[str]:
    """Every method of the library that linear sites take, with arguments that fit small widths."""
    found = []
    for name in library.names():
        method = library.method(name)
        if method is None or method.site not in {"linear", "any"}:
            continue
        known = {parameter.name for parameter in method.parameters}
        given = (("r", 2), ("size", 4), ("target", 1), ("steps", 9), ("n", 20), ("group", 4))
        sizes = [f"{key}={value}" for key, value in given if key in known]
        found.append(f"{name}({', '.join(sizes)})" if sizes else name)
    return found


def compiled(spec: str, model: nn.Module) -> pefc.Program | None:
    try:
        return pefc.compile(spec, model)
    except pefc.SpecError as error:
        if not {diagnostic.code() for diagnostic in error.diagnostics} <= NOT_YET:
            raise
        return None


@pytest.mark.parametrize("build", [llama, gpt2, plain], ids=lambda build: build.__name__)
@pytest.mark.parametrize("call", calls())
def test_every_method_starts_as_its_proof_says(build: Callable[[], nn.Module], call: str) -> None:
    base = build().eval()
    program = compiled(f"{call} on linear", base)
    if program is None:
        return
    name = call.partition("(")[0]
    expected = "exact" if name in EXACT else "rounding" if name in ROUNDING else "changes"
    found = {planned.verdict.identity for planned in program.plan.attachments}
    assert found <= {expected, "exact"} if name == "c3a" else found <= {expected}
    for dtype in DTYPES:
        model = deepcopy(base).to(dtype)
        before = output(model)
        after = output(pefc.Program(program.plan, model).apply())
        assert after.dtype == dtype
        if name in EXACT:
            assert torch.equal(before, after)
        elif name in ROUNDING:
            assert (after - before).abs().max() <= TOLERANCES[dtype] * before.abs().max()


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_a_chain_of_exact_methods_is_exact(build: Callable[[], nn.Module]) -> None:
    model = build()
    before = output(model)
    spec = "lora(r=2) on attn.{q,v}; ia3 on attn.{q,k}; vera(r=2) on ffn; ssf on attn.o, ffn.down"
    after = output(pefc.apply(spec, model))
    assert torch.equal(before, after)


def test_a_method_that_starts_at_random_changes_the_output() -> None:
    spec = """
    method noisy on linear {
      B: [out, in] ~ normal(0, 1)
      weight += B
    }
    noisy on linear
    """
    model = plain()
    before = output(model)
    program = pefc.compile(spec, model)
    assert {planned.verdict.identity for planned in program.plan.attachments} == {Identity.CHANGES}
    assert (output(program.apply()) - before).abs().max() > 0.1


def around(call: str) -> str:
    """The statement of a method that is not on linear maps."""
    method = library.method(call.partition("(")[0])
    assert method is not None
    return call + {"block": " on attn, ffn", "attention": " on attn", "tokens": ""}[method.site]


def said(call: str) -> str:
    """What the proof has to say."""
    for name, calls in (("exact", AROUND_EXACT), ("rounding", AROUND_ROUNDING)):
        if call in calls:
            return name
    return "changes"


def test_every_method_of_the_library_is_held_to_its_proof() -> None:
    calls = AROUND_EXACT | AROUND_ROUNDING | AROUND_CHANGES
    shipped = {name: library.method(name) for name in library.names()}
    sites = {
        name
        for name, method in shipped.items()
        if method is not None and method.site in {"block", "attention", "tokens"}
    } - {"adapter_fusion"}
    assert {call.partition("(")[0] for call in calls} == sites


@pytest.mark.parametrize(
    "build", [llama, gpt2, bert, t5, vit, sdpa], ids=lambda build: build.__name__
)
def test_methods_around_maps_start_as_their_proofs_say(
    build: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = build().eval()
    sites = planning.find_sites(base)
    monkeypatch.setattr(planning, "find_sites", lambda _model: sites)
    before = {dtype: _run(deepcopy(base).to(dtype)) for dtype in DTYPES}
    for call in sorted(AROUND_EXACT | AROUND_ROUNDING | AROUND_CHANGES):
        if sites.tokens is None and library.method(call.partition("(")[0]).site == "tokens":
            continue
        if "shift" in call and build not in {llama, gpt2, bert}:
            continue
        program = pefc.compile(around(call), base)
        expected = said(call)
        assert {p.verdict.identity for p in program.plan.attachments} == {expected}, call
        for dtype in DTYPES:
            model = pefc.Program(program.plan, deepcopy(base).to(dtype)).apply()
            after = _run(model)
            assert after.dtype == dtype
            change = (after - before[dtype]).abs().max() / before[dtype].abs().max()
            if expected == "exact":
                assert torch.equal(after, before[dtype]), call
            elif expected == "rounding":
                assert change <= TOLERANCES[dtype], call
            elif dtype != torch.bfloat16:
                assert change > 1e-5, call


def _run(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return computed(model)
