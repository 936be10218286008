"""Folding an adapter into the base weights, and taking it out again."""

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import nn

from ...dsl.diagnostics.adapters import NoValues
from ...dsl.diagnostics.attach_merge import NothingAttached
from ...dsl.diagnostics.quantization import Requantized
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...runtime.change import Change
from ...runtime.patched import Installed, Merged, bare, record, remember
from ...runtime.patched import put as put_buffers
from ...runtime.quantized.form import is_packed
from ..link import Modules, Patches, plain_modules, put, retract, uninstall
from ..plan import Plan, attached, by_statement, check_kept, is_attached
from ..state import tensor_at, unfinished
from .merged_module import Fold, fold_at, losing, refused
from .options import Wish


def merge(model: nn.Module, wish: Wish) -> tuple[Diagnostic, ...]:
    """Fold everything attached into the base weights. On any mistake the model is as it was.
    Returns what is to be said of it.

    Raises SpecError where the model has tasks, a method is not affine, a constant has no bias to go
    to, a weight is tied, storing the sum in the weight's dtype would lose more than allowed of an
    update (‖kept − update‖ / ‖update‖), or a weight is quantized and the wish does not say what
    becomes of it.
    """
    if wish.into is not None and not is_attached(model) and _is_quantized(model):
        change = Change()
        remember(change, model, None)
        _make_plain(change, model, wish.into, {})
        change.commit()
        return ()
    what = attached(model)
    plan: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    check_kept(model, plan)
    _raise_any(_unmergeable(plan, model))
    patches = Patches()
    folds = [
        fold_at(patched, model.get_submodule(patched.path), patches, wish.into)
        for patched in plan.modules
    ]
    _raise_any(losing((each.cost for each in folds), wish))
    cut_short = tuple(unfinished(plan, lambda path: tensor_at(model, path), "merged"))
    others = {fold.patched.path: fold.made for fold in folds if fold.made is not None}
    change = Change()
    uninstall(change, model)
    remember(change, model, _kept(what, folds, model) if wish.keep_base else None)
    for fold in folds:
        if fold.made is None:
            _store(change, fold, model)
    if wish.into is None:
        put(change, model, others)
    else:
        _make_plain(change, model, wish.into, others)
    change.commit()
    return (*(_rounded(folds) if wish.requantize else ()), *cut_short)


def _is_quantized(model: nn.Module) -> bool:
    return any(is_packed(module) for module in model.modules())


def _make_plain(change: Change, model: nn.Module, dtype: torch.dtype, made: Modules) -> None:
    """Another dtype for the whole model, quantized weights included; some of them are `made` plain
    already.
    """
    put(change, model, {**dict(plain_modules(model, dtype, made)), **made})
    retract(change, model)
    change.cast(_state(change, model), dtype)


def _state(change: Change, model: nn.Module) -> list[torch.Tensor]:
    """What a saved model is to hold in floating point; buffers that are made anew, such as those of
    rotations, stay as exact as they are.
    """
    held: dict[int, torch.Tensor] = {}
    for _, module in change.named_modules(model):
        names = module._non_persistent_buffers_set
        buffers = (value for name, value in module._buffers.items() if name not in names)
        for tensor in (*module._parameters.values(), *buffers):
            if tensor is not None and tensor.is_floating_point():
                held[id(tensor)] = tensor
    return list(held.values())


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
    change = Change()
    if isinstance(what, Installed):
        uninstall(change, model)
    for name, value in what.originals:
        change.write(model.get_parameter(name), value, kept=False)
    put_buffers(change, model, {n: v for n, v in what.buffers if v is None or not v.is_meta})
    if isinstance(what, Merged):
        put(change, model, {path: deepcopy(module) for path, module in what.modules})
    remember(change, model, what.earlier if isinstance(what, Installed) else None)
    change.commit()


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


def _store(change: Change, fold: Fold, model: nn.Module) -> None:
    module = model.get_submodule(fold.patched.path)
    assert fold.weight is not None
    _set(change, module.get_parameter("weight"), fold.weight)
    if fold.bias is not None:
        _set(change, module.get_parameter("bias"), fold.bias)


def _set(change: Change, parameter: nn.Parameter, value: torch.Tensor) -> None:
    if parameter.dtype == value.dtype:
        change.write(parameter, value, kept=False)
    else:
        change.swap(parameter, value)
