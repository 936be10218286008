"""A method that stands on a module does what its formula says there, or somebody says why not."""

import copy
import warnings

import pytest
import torch
from torch import Tensor, nn

import pefc
from pefc.compiler.plan import planner as planning
from pefc.dsl.parsing import library

from ..models import output, perturb, plain
from .odd import CASES, Attending, BiasTwice, Both, Case, Experts, Hooked, Tied
from .snapshots import Snapshot
from .test_identity import calls

FEW = ("lora(r=2)", "dora(r=2)", "beft")
EXPECTED = {
    ("Both", "traced"): "read-elsewhere",
    ("Both", "run"): "read-elsewhere",
    ("Both", "nothing"): "read-elsewhere",
    ("BiasTwice", "traced"): "",
    ("Called", "traced"): "",
    ("Called", "run"): "",
    ("Called", "nothing"): "",
    ("ForwardCalled", "traced"): "",
    ("Encoding", "traced"): "",
    ("Fused", "traced"): "never-called",
    ("Fused", "run"): "never-called",
    ("Fused", "nothing"): "unreached-sites, unproven-merge",
    ("AttendingByFunction", "traced"): "never-called",
    ("Flagged", "run"): "never-called",
    ("Hooked", "traced"): "replaced-output, read-elsewhere",
    ("Kept", "traced"): "tied-merge",
    ("Normed", "traced"): "no-such-site",
    ("OnlyInTraining", "traced"): "never-called",
    ("Tied", "traced"): "tied-merge",
    ("TiedByAnotherName", "nothing"): "tied-merge",
    ("TiedInMemory", "traced"): "tied-merge",
}


def told(case: Case, call: str, path: str) -> str:
    """What is said of a method on one map of a model that computes, attached and merged, what it
    should: codes of diagnostics, or nothing.
    """
    model = case.build()
    base = case.output(model)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", pefc.SpecWarning)
        try:
            pefc.apply(f'{call} on "{path}"', model)
        except pefc.SpecError as error:
            return codes(error)
        perturb(model)
        adapted = case.output(model)
    said = [w.message.diagnostic.code() for w in caught if isinstance(w.message, pefc.SpecWarning)]
    if not said:
        assert not torch.allclose(adapted, base, atol=1e-4), f"{call} has no effect on {path}"
    if not said and trains_its_own(call):
        assert torch.allclose(adapted, with_patch(case, model, path), atol=1e-8)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*unfinished-shrinking")
        try:
            pefc.merge(model)
        except pefc.SpecError as error:
            return codes(error, *said)
    torch.testing.assert_close(case.output(model), adapted, rtol=1e-9, atol=1e-9)
    return ", ".join(said)


def trains_its_own(call: str) -> bool:
    """A method brings the tensors that it trains."""
    method = library.method(call.partition("(")[0])
    return method is not None and any(hasattr(item, "dims") for item in method.body)


def with_patch(case: Case, model: nn.Module, path: str) -> Tensor:
    """What the base gives where each call of the module runs the patch, and nothing else is new."""
    base, patched = case.build(), copy.deepcopy(model).get_submodule(path)
    base.get_submodule(path).forward = patched.forward  # type: ignore[method-assign]
    return case.output(base)


def codes(error: pefc.SpecError, *others: str) -> str:
    return ", ".join((*others, *(d.code() for d in error.diagnostics)))


@pytest.mark.parametrize("case", [c for c in CASES if c.kind is not Experts], ids=str)
def test_a_method_does_what_it_says_or_is_told(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    table = planning.find_sites(case.build())
    monkeypatch.setattr(planning, "find_sites", lambda _model: table)
    for call in calls() if case.knowledge == "traced" else FEW:
        said = told(case, call, "map")
        if call == "lora(r=2)":
            assert said == EXPECTED.get((case.kind.__name__, case.knowledge), said)
    for path, module in case.build().named_modules():
        if isinstance(module, nn.Linear) and path != "map":
            told(case, FEW[0], path)


@pytest.mark.parametrize(("kind", "merges"), [(Both, False), (Tied, False), (BiasTwice, True)])
def test_the_plan_knows_what_merges(kind: type[nn.Module], merges: bool) -> None:
    (planned,) = pefc.plan("lora(r=2) on map", kind()).attachments
    assert planned.merges is merges


def test_an_expert_is_looked_at_when_it_is_called() -> None:
    case = Case(Experts, "run")
    model = pefc.apply('lora(r=2) on "experts.*"', case.build())
    with pytest.warns(pefc.SpecWarning, match="did not run in the first call"):
        case.output(model)
    with pytest.raises(pefc.SpecError, match="unproven-merge"):
        pefc.merge(model)
    for seed in range(20):
        case.output(model, seed)
    pefc.merge(model)


def test_a_run_leaves_the_model_as_it_was() -> None:
    case = Case(Attending, "run")
    model = case.build().train()
    model.map.register_forward_hook(lambda *_: pytest.fail("the model was run"))
    before, state = Snapshot.of(model), torch.get_rng_state()
    forwards = [dict(module.__dict__) for module in model.modules()]
    with pytest.raises(pefc.SpecError, match="never-called"):
        pefc.plan("lora(r=2) on attention", model)
    before.assert_same(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.__dict__.keys() for module in model.modules()] == [f.keys() for f in forwards]


def test_a_hook_that_only_looks_is_no_mistake() -> None:
    seen: list[Tensor] = []
    model = plain()
    model.a.register_forward_hook(lambda _module, _args, result: seen.append(result))
    pefc.apply("lora(r=2) on attn.q", model)
    output(model)
    assert len(seen) == 1
    assert len(model.a._forward_hooks) == 1
    pefc.merge(model)


def test_a_hook_that_replaces_is_told_once() -> None:
    case = Case(Hooked, "traced")
    model = pefc.apply("lora(r=2) on map", case.build())
    with pytest.warns(pefc.SpecWarning, match="gives something else"):
        case.output(model)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        case.output(model)
    assert told == []
