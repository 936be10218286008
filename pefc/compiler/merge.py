"""Folding an adapter into the base weights, and taking it out again."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ..dsl.diagnostics.attaching import (
    LossyMerge,
    NoBiasToMerge,
    NotAffine,
    NotFinite,
    NothingAttached,
    TiedMerge,
)
from ..dsl.diagnostics.core import Diagnostic, SpecError
from ..dsl.diagnostics.dropping import DroppedMerge
from ..dsl.diagnostics.state import NoValues
from ..dsl.diagnostics.tasks import TaskMerge
from ..runtime.installed import Installed, Merged, forget, record, remember
from .attached import attached, by_statement
from .link.live import uninstall
from .lower import LinearFacts, Site, run
from .patches import Patches
from .plan import Patched, Plan

TOLERATED = 0.05
"""The share of an update that a merge may lose without asking."""


@dataclass(frozen=True, slots=True)
class _Fold:
    """The new parameters of one module, in the dtype and layout in which it stores them."""

    patched: Patched
    facts: LinearFacts
    weight: torch.Tensor
    bias: torch.Tensor | None
    lost: float


def merge(model: nn.Module, *, keep_base: bool, loss: float) -> None:
    """Fold everything attached into the base weights. On any mistake the model is as it was.

    Raises SpecError where the model has tasks, a method is not affine, a constant has no bias to go
    to, a weight is tied, or storing the sum in the weight's dtype would lose more than `loss` of an
    update (‖kept − update‖ / ‖update‖).
    """
    what = attached(model)
    plan: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    _raise_any(_unmergeable(plan, model))
    patches = Patches()
    folds = [_fold(patched, model, patches) for patched in plan.modules]
    _raise_any(_losing(folds, loss))
    kept = Merged((*_changed(folds, model), *what.originals, *_originals(what.earlier)))
    uninstall(model)
    for fold in folds:
        _store(fold, model)
    forget(model)
    if keep_base:
        remember(model, kept)


def remove(model: nn.Module) -> None:
    """Take everything that was attached out again: the model is bit for bit and flag for flag what
    it was.

    After a merge this needs the base to have been kept. Raises SpecError where there is nothing to
    take out.
    """
    what = record(model)
    if what is None:
        raise SpecError([NothingAttached(type(model).__name__)])
    if isinstance(what, Installed):
        uninstall(model)
    with torch.no_grad():
        for name, value in what.originals:
            model.get_parameter(name).copy_(value)
    forget(model)
    if isinstance(what, Installed) and what.earlier is not None:
        remember(model, what.earlier)


def _originals(merged: Merged | None) -> tuple[tuple[str, torch.Tensor], ...]:
    return () if merged is None else merged.originals


def _raise_any(mistakes: Iterator[Diagnostic]) -> None:
    found = by_statement(mistakes)
    if found:
        raise SpecError(found)


def _unmergeable(plan: Plan, model: nn.Module) -> Iterator[Diagnostic]:
    if plan.tasks:
        yield TaskMerge(plan.tasks)
        return
    if any(parameter.is_meta for parameter in model.parameters()):
        yield NoValues(plan.model)
        return
    users = _users_of_weights(model)
    for patched in plan.modules:
        for planned in patched.members:
            if not planned.verdict.merges:
                yield NotAffine(planned.span, planned.label, patched.path)
            elif planned.dropping is not None and plan.drops[planned.dropping].fixed:
                yield DroppedMerge(planned.span, planned.label, patched.path)
        if not isinstance(patched.facts, LinearFacts):
            continue
        weight = model.get_submodule(patched.path).get_parameter("weight")
        others = [path for path in users[id(weight)] if path != patched.path]
        if others:
            yield TiedMerge(patched.members[0].span, patched.path, others[0])


def _losing(folds: list[_Fold], loss: float) -> Iterator[Diagnostic]:
    for fold in sorted(folds, key=lambda fold: -fold.lost):
        first = fold.patched.members[0]
        if math.isinf(fold.lost):
            yield NotFinite(first.span, fold.patched.path)
        elif fold.lost > loss:
            stored = str(fold.weight.dtype).removeprefix("torch.")
            yield LossyMerge(first.span, fold.patched.path, fold.lost, stored)
        if not fold.facts.bias and fold.bias is not None and bool(fold.bias.any()):
            yield NoBiasToMerge(first.span, fold.patched.path)


def _users_of_weights(model: nn.Module) -> dict[int, list[str]]:
    """The paths of the modules that use each weight."""
    users: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        weight = module._parameters.get("weight")
        if weight is not None:
            users.setdefault(id(weight), []).append(path)
    return users


def _fold(patched: Patched, model: nn.Module, patches: Patches) -> _Fold:
    module, facts = model.get_submodule(patched.path), patched.facts
    assert isinstance(facts, LinearFacts)
    wide = torch.promote_types(module.weight.dtype, torch.float32)  # pyright: ignore[reportArgumentType]

    def read(path: str) -> object:
        found: object = module
        for part in path.split("."):
            found = getattr(found, part)
        if isinstance(found, torch.Tensor) and found.is_floating_point():
            return found.detach().to(wide)
        return False if path == "training" else found

    with torch.no_grad():
        weight, bias = run(patches.merged(patched), Site(read, _no_module))  # pyright: ignore[reportGeneralTypeIssues]
        stored = weight.T if facts.transposed else weight
        lost = _lost(module.get_parameter("weight"), stored)
        if facts.bias and bias is not None:
            lost = max(lost, _lost(module.get_parameter("bias"), bias))
    return _Fold(patched, facts, stored.to(module.weight.dtype).contiguous(), bias, lost)


def _no_module(name: str) -> Callable[..., object]:
    raise AssertionError(f"a merged weight is made of tensors alone, not of {name}")


def _lost(old: torch.Tensor, merged: torch.Tensor) -> float:
    """The share of an update that the dtype of a parameter does not keep; infinite where the update
    is not finite.
    """
    update = merged - old
    kept = merged.to(old.dtype).to(merged.dtype) - old
    size = float(update.norm())
    if not math.isfinite(size):
        return math.inf
    return float((kept - update).norm()) / size if size else 0.0


def _changed(folds: list[_Fold], model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for fold in folds:
        module = model.get_submodule(fold.patched.path)
        for name in ("weight", "bias") if fold.facts.bias else ("weight",):
            yield f"{fold.patched.path}.{name}", module.get_parameter(name).detach().clone()


def _store(fold: _Fold, model: nn.Module) -> None:
    module = model.get_submodule(fold.patched.path)
    with torch.no_grad():
        module.get_parameter("weight").copy_(fold.weight)
        if fold.facts.bias and fold.bias is not None:
            module.get_parameter("bias").copy_(fold.bias)
