"""Folding an adapter into the base weights, and taking it out again."""

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import nn

from ..dsl.diagnostics.attaching import NothingAttached
from ..dsl.diagnostics.core import Diagnostic, SpecError
from ..dsl.diagnostics.quantizing import Requantized
from ..dsl.diagnostics.state import NoValues
from ..runtime.buffers import put as put_buffers
from ..runtime.installed import Installed, Merged, forget, record, remember
from ..runtime.patched import bare
from ..runtime.quantized import is_packed
from .attached import attached, by_statement, is_attached
from .folds import Fold, fold_at, losing, refused
from .link.declaring import retract
from .link.live import uninstall
from .link.packing import plain_modules, put
from .patches import Patches
from .plan import Plan
from .settling import tensor_at, unfinished
from .wishes import Wish


def merge(model: nn.Module, wish: Wish) -> tuple[Diagnostic, ...]:
    """Fold everything attached into the base weights. On any mistake the model is as it was.
    Returns what is to be said of it.

    Raises SpecError where the model has tasks, a method is not affine, a constant has no bias to go
    to, a weight is tied, storing the sum in the weight's dtype would lose more than allowed of an
    update (‖kept − update‖ / ‖update‖), or a weight is quantized and the wish does not say what
    becomes of it.
    """
    if wish.into is not None and not is_attached(model) and _is_quantized(model):
        _make_plain(model, wish.into)
        return ()
    what = attached(model)
    plan: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    _raise_any(_unmergeable(plan, model))
    patches = Patches()
    folds = [
        fold_at(patched, model.get_submodule(patched.path), patches, wish.into)
        for patched in plan.modules
    ]
    _raise_any(losing((each.cost for each in folds), wish))
    cut_short = tuple(unfinished(plan, lambda path: tensor_at(model, path), "merged"))
    others = {fold.patched.path: fold.made for fold in folds if fold.made is not None}
    kept = _kept(what, folds, model)
    uninstall(model)
    for fold in folds:
        if fold.made is None:
            _store(fold, model)
    put(model, others)
    if wish.into is not None:
        _make_plain(model, wish.into)
    forget(model)
    if wish.keep_base:
        remember(model, kept)
    return (*(_rounded(folds) if wish.requantize else ()), *cut_short)


def _is_quantized(model: nn.Module) -> bool:
    return any(is_packed(module) for module in model.modules())


def _make_plain(model: nn.Module, dtype: torch.dtype) -> None:
    """Another dtype for the whole model, quantized weights included."""
    put(model, dict(plain_modules(model, dtype)))
    _cast(model, dtype)
    retract(model)
    forget(model)


def _cast(model: nn.Module, dtype: torch.dtype) -> None:
    """Another dtype for what a saved model holds; buffers that are made anew, such as those of
    rotations, stay as exact as they are.
    """
    state = model.state_dict(keep_vars=True)
    for value in state.values():
        if value.is_floating_point():
            value.data = value.data.to(dtype)


def _kept(what: Installed, folds: list[Fold], model: nn.Module) -> Merged:
    tensors = (*_changed(folds, model), *what.originals, *_originals(what.earlier))
    packed = [fold.patched.path for fold in folds if fold.made is not None]
    before = {**dict(what.buffers), **dict(what.earlier.buffers if what.earlier else ())}
    return Merged(
        tensors,
        tuple(before.items()),
        tuple((path, bare(model.get_submodule(path))) for path in packed),
    )


def _rounded(folds: list[Fold]) -> Iterator[Requantized]:
    """What rounding into quantized weights has lost."""
    packed = [fold for fold in folds if fold.cost.form is not None]
    if packed:
        worst = max(packed, key=lambda fold: fold.cost.lost)
        yield Requantized(worst.patched.path, str(worst.cost.form), worst.cost.lost)


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
    put_buffers(model, {n: v for n, v in what.buffers if v is None or not v.is_meta})
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
    if not plan.tasks and any(parameter.is_meta for parameter in model.parameters()):
        return iter((NoValues(plan.model),))
    return refused(plan, model)


def _changed(folds: list[Fold], model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for fold in folds:
        if fold.made is not None:
            continue
        module = model.get_submodule(fold.patched.path)
        for name in ("weight", "bias") if fold.bias is not None else ("weight",):
            yield f"{fold.patched.path}.{name}", module.get_parameter(name).detach().clone()


def _store(fold: Fold, model: nn.Module) -> None:
    module = model.get_submodule(fold.patched.path)
    assert fold.weight is not None
    _set(module.get_parameter("weight"), fold.weight)
    if fold.bias is not None:
        _set(module.get_parameter("bias"), fold.bias)


def _set(parameter: nn.Parameter, value: torch.Tensor) -> None:
    if parameter.dtype == value.dtype:
        with torch.no_grad():
            parameter.copy_(value)
    else:
        parameter.data = value
