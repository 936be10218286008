"""Rates: whether an optimizer that begins to step has the rates and decays that a spec asks for.

A Trainer that makes its own optimizer knows nothing of them, and nothing fails.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from math import isclose
from weakref import WeakKeyDictionary, WeakSet

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from ..patched import Installed, record

Group = dict[str, object]
Ignored = tuple[tuple[str, str], ...]
"""Paths of tensors, each with `lr` or `decay`."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What a spec says of one tensor that trains; None where it says nothing."""

    path: str
    factor: float | None
    """Of the learning rate of others."""
    rate: float | None
    """The learning rate itself, instead."""
    decay: float | None

    @property
    def is_usual(self) -> bool:
        """Whether its learning rate is the one that the optimizer is asked for."""
        return self.factor is None and self.rate is None


@dataclass(eq=False, slots=True)
class Rates:
    """What a spec says of all tensors that train, and which optimizers have been looked at."""

    each: tuple[Rate, ...]
    plan: object
    """The `Plan` whose rates these are."""
    tell: Callable[[nn.Module, Ignored], None]
    given: set[tuple[str, float, float]] = field(default_factory=set)
    """Path, rate and decay, as `pefc.optimizer` has set them."""
    seen: WeakSet[Optimizer] = field(default_factory=WeakSet)
    is_told: bool = False

    def look(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Say once if an optimizer does not have the rates. Later it has what schedules make."""
        if self.is_told or optimizer in self.seen or not self.is_of(model):
            return
        held = self._held(model, optimizer)
        if not all(_rate(group) for _, group in held):
            return
        self.seen.add(optimizer)
        ignored = tuple(self._ignored(model, held, optimizer.defaults.get("lr")))
        if ignored:
            self.is_told = True
            self.tell(model, ignored)

    def is_of(self, model: nn.Module) -> bool:
        """Whether a model has the plan whose rates these are."""
        what = record(model)
        return isinstance(what, Installed) and what.plan is self.plan

    def _held(self, model: nn.Module, optimizer: Optimizer) -> list[tuple[Rate, Group]]:
        groups = {
            id(p): group
            for group in optimizer.param_groups
            for p in group["params"]
            if p.requires_grad
        }
        found = ((rate, groups.get(id(model.get_parameter(rate.path)))) for rate in self.each)
        return [(rate, group) for rate, group in found if group is not None]

    def _ignored(
        self, model: nn.Module, held: list[tuple[Rate, Group]], default: object
    ) -> Iterator[tuple[str, str]]:
        is_whole = len(held) == sum(
            model.get_parameter(rate.path).requires_grad for rate in self.each
        )
        reference = _Reference.of(held, default if is_whole else None)
        for rate, group in held:
            now, decay = _rate(group), float(group.get("weight_decay", 0.0))  # pyright: ignore[reportArgumentType]
            if (rate.path, now, decay) in self.given:
                continue
            if rate.decay is not None and not isclose(decay, rate.decay):
                yield rate.path, "decay"
            if not rate.is_usual and reference.is_ignored(rate, now):
                yield rate.path, "lr"


@dataclass(frozen=True, slots=True)
class _Reference:
    """What the learning rates of an optimizer are compared with: those of tensors of which the spec
    says nothing. Where there are none, what counts is that others have the right ratios, or that
    the rate is not simply the one that the optimizer was asked for.
    """

    usual: frozenset[float]
    bases: frozenset[float]
    """The rates by their factors."""
    factors: frozenset[float]
    default: float | None
    """What the optimizer was asked for; None where it has but a part of what trains."""

    @classmethod
    def of(cls, held: list[tuple[Rate, Group]], default: object) -> "_Reference":
        rates = [(rate, _rate(group)) for rate, group in held]
        usual = frozenset(now for rate, now in rates if rate.is_usual)
        scaled = [(rate.factor, now) for rate, now in rates if rate.factor]
        bases = frozenset(now / factor for factor, now in scaled)
        asked = None if default is None else float(default)  # pyright: ignore[reportArgumentType]
        return cls(usual, bases, frozenset(factor for factor, _ in scaled), asked)

    def is_ignored(self, wanted: Rate, now: float) -> bool:
        """Whether a tensor does not have the rate that the spec asks for. Rates of its own may be
        scaled by what warms up, so they are wrong only where they are those of others.
        """
        plain = self.usual or ({self.default} if self.default is not None else set())
        is_plain = any(isclose(now, other) for other in plain)
        if wanted.rate is not None:
            return is_plain and not isclose(now, wanted.rate)
        assert wanted.factor is not None
        if self.usual:
            return not any(isclose(now, wanted.factor * other) for other in self.usual)
        if len(self.factors) > 1:
            return not all(isclose(base, min(self.bases)) for base in self.bases)
        return is_plain and wanted.factor != 1


_WATCHED: WeakKeyDictionary[nn.Module, tuple[Rates, ...]] = WeakKeyDictionary()
"""Of the plan that a model has, and of one that it may be about to have."""


def watch(model: nn.Module, rates: Rates | None) -> None:
    """Look at the optimizers that step what a model trains, as soon as it has the plan of these
    rates; None where a spec says nothing.
    """
    if rates is not None:
        _register()
        now = (found for found in _WATCHED.get(model, ()) if found.is_of(model))
        _WATCHED[model] = (*now, rates)


def give(model: nn.Module, path: str, rate: float, decay: float) -> None:
    """Note the rate and the decay that a tensor is given as the spec says."""
    for rates in _WATCHED.get(model, ()):
        if rates.is_of(model):
            rates.given.add((path, float(rate), float(decay)))


@cache
def _register() -> None:
    register_optimizer_step_pre_hook(_before)  # pyright: ignore[reportArgumentType]


@torch.compiler.disable
def _before(optimizer: Optimizer, *_: object) -> None:
    for model, several in list(_WATCHED.items()):
        for rates in several:
            rates.look(model, optimizer)


def _rate(group: Group) -> float:
    """The learning rate, before a schedule scales it; 0 where the optimizer finds it by itself, or
    has not been told yet.
    """
    return float(group.get("initial_lr") or group.get("lr") or 0.0)  # pyright: ignore[reportArgumentType]
