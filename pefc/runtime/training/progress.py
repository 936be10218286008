"""Progress: whether all that should train does, once an optimizer steps. What does not is said
once; afterwards nothing is looked at any more.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, distributed, nn
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from ..distributed import is_copied, is_part, is_spread, spread
from ..patched import Installed, record

STEPS = 8
"""So many steps a tensor has. What starts at zero keeps the gradient of what it multiplies at zero
for a step, and several such factors for several.
"""
_ENTRIES = 64
"""Those with the largest gradients are looked at: one of them moves, unless none does."""
_WARM = 0.5
"""From this share of its learning rate on a tensor should move; before, a schedule warms up."""


class Reason(StrEnum):
    """Why a tensor does not train."""

    FROZEN = "frozen"
    """It does not require a gradient."""
    UNHELD = "unheld"
    """No optimizer that steps holds it."""
    UNREACHED = "unreached"
    """No gradient comes to it."""
    ZERO = "zero"
    """Its gradients are zero."""
    INFINITE = "infinite"
    """Its gradients are not finite."""
    UNMOVED = "unmoved"
    """It stays what it was."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A tensor that should train."""

    path: str
    task: str | None
    drop: tuple[int, int] | None
    """The number of the `adapterdrop` that it stands under, and its layer."""
    is_allocated: bool = False
    """What allocates ranks may put it back after a step."""


@dataclass(slots=True)
class _Seen:
    """What has been seen of one tensor."""

    steps: int = 0
    """In which it should have had a gradient."""
    reason: Reason = Reason.UNHELD
    is_fed: bool = False
    """It has had a gradient that is finite and not zero."""
    has_moved: bool = False

    @property
    def is_done(self) -> bool:
        """Whether it trains."""
        return self.is_fed and self.has_moved

    def note(self, reason: Reason) -> None:
        """Note what stands in its way before a step."""
        self.is_fed |= reason is Reason.UNMOVED
        if not self.is_fed:
            self.reason = reason
        elif not self.has_moved:
            self.reason = Reason.UNMOVED


@dataclass(eq=False, slots=True)
class Progress:
    """What is seen of a model in its first steps."""

    expected: tuple[Expected, ...]
    plan: object
    """The `Plan` that they are of."""
    tell: Callable[[nn.Module, Mapping[str, Reason]], None]
    seen: dict[str, _Seen] = field(default_factory=dict)
    steps: int = 0
    waiting: dict[str, tuple[Tensor, Tensor]] | None = None
    """Which entries of tensors are looked at in the step that is under way, and what they were
    before; None where none is under way.
    """

    def before(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Look at the gradients with which an optimizer is about to step."""
        groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        if self.steps >= STEPS and not any(map(_is_warm, groups.values())):
            return
        named = dict(model.named_parameters(remove_duplicate=False))
        if not any(id(p) in groups for p in named.values()):
            return
        still = [each for each in self.expected if each.path in named and not self._is_done(each)]
        looked = {*still, *(each for each in self.expected if each.task and each.path in named)}
        held = {each: p for each in looked if id(p := named[each.path]) in groups}
        sizes = _largest({each: p for each, p in held.items() if p.grad is not None})
        running = {each.task for each, size in sizes.items() if size}
        for each in still:
            seen = self.seen.setdefault(each.path, _Seen())
            if each in held or seen.reason in {Reason.UNHELD, Reason.FROZEN}:
                seen.steps += _runs(each, model, running)
                seen.note(_reason(named[each.path], sizes.get(each), is_held=each in held))
                seen.has_moved |= seen.is_fed and each.is_allocated
        fed = {each.path: p for each, p in held.items() if sizes.get(each) and each in still}
        self.waiting = {path: _entries(p) for path, p in fed.items()}
        self.steps += 1

    def after(self, model: nn.Module, optimizer: Optimizer) -> bool:
        """Look at what has moved; whether there is nothing more to be seen."""
        entries, self.waiting = self.waiting, None
        if entries is None:
            return False
        moved = [
            (_local(model.get_parameter(path).detach()).flatten()[places] != values).any()
            for path, (places, values) in entries.items()
        ]
        for path, has_moved in zip(entries, _numbers(moved), strict=True):
            self.seen[path].has_moved |= bool(has_moved)
        if is_spread(model):
            if self.steps >= STEPS:
                self._agree(model)
            return self.steps >= STEPS
        missing = [each for each in self.expected if not self._is_done(each)]
        if any(self._is_early(each, optimizer, model) for each in missing):
            return False
        is_first = not distributed.is_initialized() or distributed.get_rank() == 0
        if missing and is_first:
            self.tell(model, {each.path: self.seen[each.path].reason for each in missing})
        return True

    def _is_done(self, each: Expected) -> bool:
        return each.path in self.seen and self.seen[each.path].is_done

    def _is_early(self, each: Expected, optimizer: Optimizer, model: nn.Module) -> bool:
        """Whether a tensor may still begin to train: while a schedule warms up, steps are small."""
        seen = self.seen.get(each.path)
        if seen is None or seen.steps < STEPS:
            return seen is not None
        parameter = model.get_parameter(each.path)
        groups = (g for g in optimizer.param_groups if any(parameter is p for p in g["params"]))
        return seen.is_fed and not all(map(_is_warm, groups))

    def _agree(self, model: nn.Module) -> None:
        """Say what does not train in any process: a part of a tensor may be zeros, or empty. All
        processes step together, and so they agree together.
        """
        processes = spread(model)
        assert processes is not None
        fine = [each.path not in self._missing() for each in self.expected]
        trains = torch.tensor(fine, dtype=torch.float32, device=next(model.parameters()).device)
        for group in processes.groups:
            distributed.all_reduce(trains, distributed.ReduceOp.MAX, group=group)
        pairs = zip(self.expected, trains.tolist(), strict=True)
        lost = {each.path: self.seen[each.path].reason for each, known in pairs if not known}
        if lost and processes.is_first:
            self.tell(model, lost)

    def _missing(self) -> set[str]:
        """What has had its steps and does not train in this process."""
        return {path for path, s in self.seen.items() if s.steps >= STEPS and not s.is_done}


def _runs(each: Expected, model: nn.Module, running: set[str | None]) -> bool:
    """Whether a tensor had part in the step: its task ran, and its layer was not left out."""
    if each.drop is not None:
        number, layer = each.drop
        if model.__dict__["pefc_drops"][number].skips(layer):
            return False
    active = getattr(model.__dict__.get("pefc_tasks"), "active", None)
    return each.task is None or each.task == active or each.task in running


def _reason(parameter: nn.Parameter, size: float | None, *, is_held: bool) -> Reason:
    """What stands in the way of a tensor before a step; at the worst, that it will not move."""
    if not parameter.requires_grad:
        return Reason.FROZEN
    if not is_held:
        return Reason.UNHELD
    if size is None:
        return Reason.UNREACHED
    if size == 0:
        return Reason.ZERO
    return Reason.UNMOVED if size < torch.inf else Reason.INFINITE


def _largest(held: Mapping[Expected, nn.Parameter]) -> dict[Expected, float]:
    """The largest entry of each gradient; infinite where one is not finite."""
    sizes = []
    for parameter in held.values():
        assert parameter.grad is not None
        gradient = parameter.grad
        local = _local(gradient.coalesce().values() if gradient.is_sparse else gradient)
        largest = local.abs().amax() if local.numel() else local.new_zeros(())
        sizes.append(largest.nan_to_num(nan=torch.inf, posinf=torch.inf).float())
    return dict(zip(held, _numbers(sizes), strict=True))


def _entries(parameter: nn.Parameter) -> tuple[Tensor, Tensor]:
    """The places of the largest entries of a gradient, and the values there."""
    gradient, value = _local(parameter.grad), _local(parameter.detach())  # pyright: ignore[reportArgumentType]
    gradient = gradient.to_dense() if gradient.is_sparse else gradient
    flat = gradient.detach().flatten().abs()
    places = flat.topk(min(_ENTRIES, len(flat))).indices
    return places, value.flatten()[places].clone()


def _local(tensor: Tensor) -> Tensor:
    """The part of a tensor that this process has."""
    return tensor.to_local() if is_part(tensor) else tensor


def _numbers(values: Iterable[Tensor]) -> list[float]:
    """Numbers of tensors, which may be on several devices: one wait for each device."""
    found = list(values)
    devices = dict.fromkeys(value.device for value in found)
    known: dict[int, float] = {}
    for device in devices:
        here = [place for place, value in enumerate(found) if value.device == device]
        together = torch.stack([found[place].float() for place in here]).tolist()
        known.update(zip(here, together, strict=True))
    return [known[place] for place in range(len(found))]


def _is_warm(group: Mapping[str, object]) -> bool:
    """Whether a schedule has brought a learning rate near to what it was asked for."""
    rate, asked = float(group.get("lr", 1.0)), group.get("initial_lr")  # pyright: ignore[reportArgumentType]
    return asked is None or rate >= _WARM * float(asked)  # pyright: ignore[reportArgumentType]


_FOLLOWED: WeakKeyDictionary[nn.Module, Progress] = WeakKeyDictionary()


def follow(model: nn.Module, progress: Progress) -> None:
    """Look at the first steps of a model."""
    _register()
    _FOLLOWED[model] = progress


@cache
def _register() -> None:
    register_optimizer_step_pre_hook(_before)  # pyright: ignore[reportArgumentType]
    register_optimizer_step_post_hook(_after)  # pyright: ignore[reportArgumentType]


def _followed(model: nn.Module, progress: Progress) -> bool:
    """Whether a model still has the plan, and optimizers step its own tensors."""
    what = record(model)
    is_there = isinstance(what, Installed) and what.plan is progress.plan
    if is_there and not any(is_copied(p) for p in model.parameters()):
        return True
    del _FOLLOWED[model]
    return False


@torch.compiler.disable
@torch.no_grad()
def _before(optimizer: Optimizer, *_: object) -> None:
    for model, progress in list(_FOLLOWED.items()):
        if _followed(model, progress):
            progress.before(model, optimizer)


@torch.compiler.disable
@torch.no_grad()
def _after(optimizer: Optimizer, *_: object) -> None:
    """Nothing has happened where a fused optimizer has left its step out, since a scaled gradient
    was infinite.
    """
    if bool(getattr(optimizer, "found_inf", None) or 0):
        return
    for model, progress in list(_FOLLOWED.items()):
        if progress.after(model, optimizer):
            del _FOLLOWED[model]
