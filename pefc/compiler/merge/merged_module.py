"""Folds: what the parameters of a module become with its methods in them, and what is lost of an
update where they are stored.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...dsl.diagnostics.adapterdrop import DroppedMerge
from ...dsl.diagnostics.attach_merge import (
    LossyMerge,
    NoBiasToMerge,
    NotAffine,
    NotFinite,
    TiedMerge,
)
from ...dsl.diagnostics.quantization import QuantizedMerge
from ...dsl.diagnostics.reaching import ReadElsewhere, UnprovenMerge
from ...dsl.diagnostics.report import Diagnostic
from ...dsl.diagnostics.tasks import TaskMerge
from ...runtime.quantized.form import Form, form, is_packed
from ..link import Patches, members, plain
from ..lower import LinearFacts
from ..model import overlapping
from ..plan import Patched, Plan, read_elsewhere
from ..prove import folded_parameters
from .base_weight import weight_of
from .merged_weight import Loss, Sums
from .options import Wish
from .rounding import gathered, requantized, rounded


@dataclass(frozen=True, slots=True)
class Cost:
    """What a fold loses."""

    patched: Patched
    lost: float
    """The share of the update; infinite where it is not finite."""
    dtype: torch.dtype
    """In which the sum is stored, or, where it is quantized again, was before."""
    form: Form | None = None
    """Of the quantized weight that the update is rounded into."""
    is_biased: bool = False
    """There is a constant, and no bias that it could go to."""


@dataclass(frozen=True, slots=True)
class Fold:
    """The new parameters of one module, in the dtype and layout in which it stores them."""

    patched: Patched
    cost: Cost
    weight: Tensor | None
    """None where another module comes."""
    bias: Tensor | None
    """None where the module has none."""
    made: nn.Module | None = None
    """The module that comes in the place of a quantized one."""


def fold_at(
    patched: Patched, module: nn.Module, patches: Patches, into: torch.dtype | None
) -> Fold:
    """The parameters that stand for a module with its methods, which are its children."""
    sums = Sums(patched, weight_of(module), lambda path: _attribute(module, path), patches)
    own, loss = module._parameters.get("bias"), Loss()
    kind = form(module) if into is None else None
    dtype = into or sums.weight.dtype
    weight, made = None, None
    if kind is not None:
        made = requantized(module, sums, loss)
    else:
        weight = gathered(rounded(sums, dtype, loss), sums.weight.shape)
        if is_packed(module):
            weight, made = None, plain(module, weight, dtype)
    cost = Cost(patched, loss.share, dtype, kind)
    bias, cost = fold_bias(sums, own, into, cost)
    if made is not None and own is not None and bias is not None:
        made._parameters["bias"] = nn.Parameter(bias, requires_grad=own.requires_grad)
    return Fold(patched, cost, weight, bias, made)


def fold_bias(
    sums: Sums, own: Tensor | None, into: torch.dtype | None, cost: Cost
) -> tuple[Tensor | None, Cost]:
    """What becomes of the bias of a module, and what the whole fold then costs."""
    exact = sums.bias()
    if own is None:
        return None, replace(cost, is_biased=exact is not None and bool(exact.any()))
    if exact is None:
        return None, cost
    bias, loss = exact.to(into or own.dtype), Loss()
    loss.add(own.detach(), exact, bias)
    return bias, replace(cost, lost=max(cost.lost, loss.share))


def _attribute(module: nn.Module, path: str) -> object:
    found: object = module
    for part in path.split("."):
        found = getattr(found, part)
    return found


def refused(plan: Plan, model: nn.Module) -> Iterator[Diagnostic]:
    """What stands against folding a plan into a model, whatever the values."""
    if plan.tasks:
        yield TaskMerge(plan.tasks)
        return
    shared = overlapping(model)
    for patched in plan.modules:
        for planned in patched.members:
            if not planned.verdict.affine:
                yield NotAffine(planned.span, planned.label, patched.path)
            elif planned.verdict.lacks_bias:
                yield NoBiasToMerge(planned.span, patched.path)
            elif planned.dropping is not None and plan.drops[planned.dropping].fixed:
                yield DroppedMerge(planned.span, planned.label, patched.path)
        if not isinstance(patched.facts, LinearFacts):
            continue
        yield from _read_by_others(patched, model, shared)


def _read_by_others(
    patched: Patched, model: nn.Module, shared: Mapping[tuple[str, str], str]
) -> Iterator[Diagnostic]:
    """The parameters of a linear map that would change for somebody else too."""
    span, path = patched.members[0].span, patched.path
    tied = {name: other for (owner, name), other in shared.items() if owner == path}
    read = read_elsewhere(patched, model)
    if read is None:
        yield UnprovenMerge(span, path)
    if not tied and not read:
        return
    assert isinstance(patched.facts, LinearFacts)
    for name in sorted(folded_parameters(patched.facts, members(patched)), reverse=True):
        if name in tied:
            yield TiedMerge(span, path, tied[name], name)
        elif read and name in read:
            yield ReadElsewhere(span, path, name, read[name])


def losing(costs: Iterable[Cost], wish: Wish) -> Iterator[Diagnostic]:
    """The folds that lose more than is wished for, worst first."""
    for cost in sorted(costs, key=lambda cost: -cost.lost):
        span, path = cost.patched.members[0].span, cost.patched.path
        if math.isinf(cost.lost):
            yield NotFinite(span, path)
        elif cost.form is not None:
            if not wish.requantize:
                yield QuantizedMerge(span, path, str(cost.form), cost.lost)
        elif cost.lost > wish.loss:
            yield LossyMerge(span, path, cost.lost, str(cost.dtype).removeprefix("torch."))
        if cost.is_biased:
            yield NoBiasToMerge(span, path)
