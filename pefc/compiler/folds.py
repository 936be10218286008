"""Folds: what the parameters of a module become with its methods in them, and what is lost of an
update where they are stored.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import nn

from ..dsl.diagnostics.attaching import LossyMerge, NoBiasToMerge, NotAffine, NotFinite, TiedMerge
from ..dsl.diagnostics.core import Diagnostic
from ..dsl.diagnostics.dropping import DroppedMerge
from ..dsl.diagnostics.quantizing import QuantizedMerge
from ..dsl.diagnostics.tasks import TaskMerge
from ..runtime.quantized import Form, form, is_packed
from .link.packing import floating_weight, plain, requantized
from .lower import LinearFacts, Site, run
from .patches import Patches
from .plan import Patched, Plan

TOLERATED = 0.05
"""The share of an update that a merge may lose without asking."""
_PART = 1 << 18
"""About as many numbers are compared at once."""


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


@dataclass(frozen=True, slots=True)
class Cost:
    """What a fold loses."""

    patched: Patched
    lost: float
    """The share of the update; infinite where it is not finite."""
    dtype: torch.dtype
    form: Form | None
    """Of the quantized weight that the update is rounded into."""
    is_biased: bool
    """There is a constant, and no bias that it could go to."""


@dataclass(frozen=True, slots=True)
class Fold:
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

    @property
    def cost(self) -> Cost:
        is_biased = not self.facts.bias and self.bias is not None and bool(self.bias.any())
        return Cost(self.patched, self.lost, self.weight.dtype, self.form, is_biased)


def fold_at(
    patched: Patched,
    module: nn.Module,
    patches: Patches,
    into: torch.dtype | None,
    tensors: Mapping[str, torch.Tensor] = MappingProxyType({}),
) -> Fold:
    """The parameters that stand for a module with its methods, worked out in at least 32 bits.

    The tensors of the methods are children of the module, or `tensors` by their paths from it.
    """
    facts, old = patched.facts, floating_weight(module)
    assert isinstance(facts, LinearFacts)
    wide = torch.promote_types(old.dtype, torch.float32)

    def read(path: str) -> object:
        found = tensors.get(path)
        found = _attribute(module, path, old) if found is None else found
        if isinstance(found, torch.Tensor) and found.is_floating_point():
            return found.detach().to(wide)
        return False if path == "training" else found

    with torch.no_grad():
        weight, bias = run(patches.merged(patched), Site(read, _no_module))  # pyright: ignore[reportGeneralTypeIssues]
        stored = weight.T if facts.transposed else weight
        if is_packed(module):
            return _packed_fold(patched, module, old, stored, bias, into)
        kind = into or old.dtype
        kept = stored.to(kind).contiguous()
        lost = lost_share(old, stored, kept)
        if facts.bias and bias is not None:
            own, exact = module.get_parameter("bias"), bias
            bias = exact.to(into or own.dtype)
            lost = max(lost, lost_share(own, exact, bias))
    return Fold(patched, facts, kept, bias, lost)


def _attribute(module: nn.Module, path: str, weight: torch.Tensor) -> object:
    if path == "weight":
        return weight
    found: object = module
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _packed_fold(
    patched: Patched,
    module: nn.Module,
    old: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    into: torch.dtype | None,
) -> Fold:
    """The module that comes in the place of a quantized one: quantized again, or plain."""
    facts = patched.facts
    assert isinstance(facts, LinearFacts)
    made = (
        requantized(module, weight.to(old.dtype)) if into is None else plain(module, weight, into)
    )
    if bias is not None and made.bias is not None:
        made.bias = nn.Parameter(bias.to(made.bias.dtype), requires_grad=made.bias.requires_grad)
    lost = lost_share(old, weight, floating_weight(made))
    return Fold(patched, facts, weight, bias, lost, made, form(module) if into is None else None)


def _no_module(name: str) -> Callable[..., object]:
    raise AssertionError(f"a merged weight is made of tensors alone, not of {name}")


def lost_share(old: torch.Tensor, merged: torch.Tensor, stored: torch.Tensor) -> float:
    """The share of an update that a parameter does not keep as it is stored; infinite where the
    update is not finite. Some rows at a time, so that no more tensors of their size are made.
    """
    size = lost = 0.0
    rows = max(1, _PART * len(old) // max(1, old.numel()))
    for was, new, now in zip(old.split(rows), merged.split(rows), stored.split(rows), strict=True):
        update = new - was
        size = math.hypot(size, float(update.norm()))
        lost = math.hypot(lost, float((now.to(new.dtype) - was - update).norm()))
    if not math.isfinite(size):
        return math.inf
    return lost / size if size else 0.0


def refused(plan: Plan, model: nn.Module) -> Iterator[Diagnostic]:
    """What stands against folding a plan into a model, whatever the values."""
    if plan.tasks:
        yield TaskMerge(plan.tasks)
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


def _users_of_weights(model: nn.Module) -> dict[int, list[str]]:
    """The paths of the modules that use each weight."""
    users: dict[int, list[str]] = {}
    for path, module in model.named_modules():
        weight = module._parameters.get("weight")
        if weight is not None:
            users.setdefault(id(weight), []).append(path)
    return users


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
