"""Whether what a folder holds belongs into a model: its base, its tensors, and their values."""

from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

from ...dsl.diagnostics.adapters import DamagedAdapter, OnOtherBase, OtherBase, OtherSites
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...runtime.files import Fingerprint, differences, distance
from ...runtime.patched import base_buffers
from ..plan import Plan
from .read import Saved
from .save import TENSORS, not_finite

_SHOWN = 5
"""Tensors that are named."""


class Found(Protocol):
    """Reads what is known of the base that is there, with hashes or without."""

    def __call__(self, *, hashed: bool) -> Fingerprint: ...


def compare_base(
    saved: Saved, found: Found, name: str, *, other_base: bool
) -> tuple[Diagnostic, ...]:
    """Compare the base of this name with the one that a folder was made for: samples first, and
    where these are the same, hashes. Returns how far it is off, where it may be.

    Raises SpecError where it is another one, and may not be.
    """
    there = found(hashed=False)
    different = differences(saved.base, there)
    if not different and any(facts.hash is not None for facts in saved.base.values()):
        there = found(hashed=True)
        different = differences(saved.base, there)
    if not different:
        return ()
    if not other_base:
        raise SpecError([OtherBase(str(saved.folder), name, different)])
    off = distance(saved.base, there)
    return (
        OnOtherBase(str(saved.folder), name, off.weights, off.of, off.largest, off.unlike[:_SHOWN]),
    )


def check_tensors(plan: Plan, model: nn.Module, saved: Saved) -> None:
    """Raise SpecError where a folder has other tensors than its spec wants in a model; none of them
    is read for it, and none is made.
    """
    expected, tensors = _expected(plan, model, saved), saved.shapes
    found = [(name, "is missing in the file") for name in expected if name not in tensors]
    found += [
        (name, "has no place in the model") for name in sorted(tensors) if name not in expected
    ]
    found += [
        (name, f"has shape {list(tensors[name].shape)}, not {list(wanted.shape)}")
        for name, wanted in expected.items()
        if name in tensors and tensors[name].shape != wanted.shape
    ]
    present = {name for name, _ in base_buffers(model)}
    placed = (name for name in saved.buffers if name in expected)
    found += [(name, "is no buffer of it") for name in placed if name not in present]
    if found:
        raise SpecError([OtherSites(str(saved.folder), plan.model, tuple(found))])
    strange = [
        f"`{name}` holds {_kind(tensors[name])}, where {_kind(wanted)} belong"
        for name, wanted in expected.items()
        if _kind(tensors[name]) != _kind(wanted)
    ]
    _refuse(saved, strange)


def check_values(plan: Plan, saved: Saved) -> tuple[Diagnostic, ...]:
    """Raise SpecError where positions lie outside of their matrix. Returns which tensors of methods
    and which parameters hold what is not finite; buffers, such as masks, may.
    """
    sizes = {
        planned.path(tensor): prod(tensor.of)
        for planned in plan.attachments
        for tensor in planned.stored
        if tensor.of is not None
    }
    outside = (name for name, size in sizes.items() if not _is_within(saved.tensors[name], size))
    _refuse(saved, [f"`{name}` has positions outside of its matrix" for name in outside])
    numbers = {n: tensor for n, tensor in saved.tensors.items() if n not in saved.buffers}
    return tuple(not_finite(numbers, str(saved.folder)))


def _refuse(saved: Saved, reasons: list[str]) -> None:
    if reasons:
        path = str(saved.folder / TENSORS)
        raise SpecError(DamagedAdapter(path, reason) for reason in reasons[:_SHOWN])


def _expected(plan: Plan, model: nn.Module, saved: Saved) -> dict[str, Tensor]:
    """What belongs into the model, on `meta`; only the kind of its dtype counts."""
    found = {
        planned.path(tensor): _meta(tensor.shape, tensor.dtype or torch.float32)
        for planned in plan.attachments
        for tensor in planned.stored
    }
    for tuned in plan.tuned:
        parameter = model.get_parameter(tuned.name)
        found[tuned.name] = _meta(tuple(parameter.shape), parameter.dtype)
    present = dict(base_buffers(model))
    for name in saved.buffers:
        if name in present and name not in found:
            # A buffer that has no value yet takes any.
            buffer = present[name]
            found[name] = saved.shapes[name] if buffer is None else buffer
    return found


def _meta(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, device="meta")


def _kind(tensor: Tensor) -> str:
    if tensor.is_floating_point():
        return "numbers in floating point"
    return "truth values" if tensor.dtype == torch.bool else "integers"


def _is_within(positions: Tensor, size: int) -> bool:
    return not positions.numel() or (int(positions.min()) >= 0 and int(positions.max()) < size)
