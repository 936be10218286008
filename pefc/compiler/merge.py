"""Folding an adapter into the base weights, and taking it out again."""

import math
import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
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
from ..dsl.diagnostics.quantizing import QuantizedMerge
from ..dsl.diagnostics.state import NoValues
from ..dsl.diagnostics.tasks import TaskMerge
from ..runtime.installed import Installed, Merged, forget, record, remember
from ..runtime.patched import bare
from ..runtime.quantized import Form, form, is_packed
from .attached import attached, by_statement
from .link.live import uninstall
from .link.packing import floating_weight, plain, plain_modules, put, requantized
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
    made: nn.Module | None = None
    """The module that comes in the place of a quantized one."""
    form: Form | None = None
    """Of the quantized weight that the update is rounded into."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a merge is to go."""

    keep_base: bool = False
    """Keep what changes, so that `remove` can undo it."""
    loss: float = TOLERATED
    """The share of an update that may be lost to a dtype."""
    into: torch.dtype | None = None
    """The dtype that the whole model takes; quantized weights become plain ones."""
    requantize: bool = False
    """Round sums into quantized weights, whatever that loses."""


def merge(model: nn.Module, wish: Wish) -> None:
    """Fold everything attached into the base weights. On any mistake the model is as it was.

    Raises SpecError where the model has tasks, a method is not affine, a constant has no bias to go
    to, a weight is tied, storing the sum in the weight's dtype would lose more than allowed of an
    update (‖kept − update‖ / ‖update‖), or a weight is quantized and the wish does not say what
    becomes of it.
    """
    what = attached(model)
    plan: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    _raise_any(_unmergeable(plan, model))
    patches = Patches()
    folds = [_fold(patched, model, patches, wish.into) for patched in plan.modules]
    _raise_any(_losing(folds, wish))
    others = {fold.patched.path: fold.made for fold in folds if fold.made is not None}
    kept = _kept(what, folds, model)
    uninstall(model)
    for fold in folds:
        if fold.made is None:
            _store(fold, model)
    put(model, others)
    if wish.into is not None:
        put(model, dict(plain_modules(model, wish.into)))
        model.to(wish.into)
    forget(model)
    if wish.keep_base:
        remember(model, kept)
    if wish.requantize:
        _report(folds)


def _kept(what: Installed, folds: list[_Fold], model: nn.Module) -> Merged:
    tensors = (*_changed(folds, model), *what.originals, *_originals(what.earlier))
    packed = [fold.patched.path for fold in folds if fold.made is not None]
    return Merged(tensors, tuple((path, bare(model.get_submodule(path))) for path in packed))


def _report(folds: list[_Fold]) -> None:
    """Say what rounding into quantized weights has lost."""
    packed = [fold for fold in folds if fold.form is not None]
    if packed:
        worst = max(packed, key=lambda fold: fold.lost)
        warnings.warn(
            f"rounding into quantized weights lost up to {worst.lost:.1%} of an update, at "
            f"`{worst.patched.path}`",
            stacklevel=4,
        )


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
    if isinstance(what, Merged):
        put(model, {path: deepcopy(module) for path, module in what.modules})
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


def _losing(folds: list[_Fold], wish: Wish) -> Iterator[Diagnostic]:
    for fold in sorted(folds, key=lambda fold: -fold.lost):
        first = fold.patched.members[0]
        if math.isinf(fold.lost):
            yield NotFinite(first.span, fold.patched.path)
        elif fold.form is not None:
            if not wish.requantize:
                yield QuantizedMerge(first.span, fold.patched.path, str(fold.form), fold.lost)
        elif fold.lost > wish.loss:
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


def _fold(patched: Patched, model: nn.Module, patches: Patches, into: torch.dtype | None) -> _Fold:
    module, facts = model.get_submodule(patched.path), patched.facts
    assert isinstance(facts, LinearFacts)
    old = floating_weight(module)
    wide = torch.promote_types(old.dtype, torch.float32)

    def read(path: str) -> object:
        found: object = module
        for part in path.split("."):
            found = old if part == "weight" and found is module else getattr(found, part)
        if isinstance(found, torch.Tensor) and found.is_floating_point():
            return found.detach().to(wide)
        return False if path == "training" else found

    with torch.no_grad():
        weight, bias = run(patches.merged(patched), Site(read, _no_module))  # pyright: ignore[reportGeneralTypeIssues]
        stored = weight.T if facts.transposed else weight
        if is_packed(module):
            return _packed_fold(patched, old, stored, bias, model, into)
        kind = into or old.dtype
        lost = lost_share(old, stored, stored.to(kind))
        if facts.bias and bias is not None:
            lost = max(lost, lost_share(module.get_parameter("bias"), bias, bias.to(kind)))
    return _Fold(patched, facts, stored.to(kind).contiguous(), bias, lost)


def _packed_fold(
    patched: Patched,
    old: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    model: nn.Module,
    into: torch.dtype | None,
) -> _Fold:
    """The module that comes in the place of a quantized one: quantized again, or plain."""
    module, facts = model.get_submodule(patched.path), patched.facts
    assert isinstance(facts, LinearFacts)
    made = (
        requantized(module, weight.to(old.dtype)) if into is None else plain(module, weight, into)
    )
    if bias is not None and made.bias is not None:
        made.bias = nn.Parameter(bias.to(made.bias.dtype), requires_grad=made.bias.requires_grad)
    lost = lost_share(old, weight, floating_weight(made))
    return _Fold(patched, facts, weight, bias, lost, made, form(module) if into is None else None)


def _no_module(name: str) -> Callable[..., object]:
    raise AssertionError(f"a merged weight is made of tensors alone, not of {name}")


def lost_share(old: torch.Tensor, merged: torch.Tensor, stored: torch.Tensor) -> float:
    """The share of an update that a parameter does not keep as it is stored; infinite where the
    update is not finite.
    """
    update = merged - old
    kept = stored.to(merged.dtype) - old
    size = float(update.norm())
    if not math.isfinite(size):
        return math.inf
    return float((kept - update).norm()) / size if size else 0.0


def _changed(folds: list[_Fold], model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for fold in folds:
        if fold.made is not None:
            continue
        module = model.get_submodule(fold.patched.path)
        for name in ("weight", "bias") if fold.facts.bias else ("weight",):
            yield f"{fold.patched.path}.{name}", module.get_parameter(name).detach().clone()


def _store(fold: _Fold, model: nn.Module) -> None:
    module = model.get_submodule(fold.patched.path)
    with torch.no_grad():
        weight = module.get_parameter("weight")
        if weight.dtype == fold.weight.dtype:
            weight.copy_(fold.weight)
        else:
            weight.data = fold.weight
        if fold.facts.bias and fold.bias is not None:
            module.get_parameter("bias").copy_(fold.bias)
