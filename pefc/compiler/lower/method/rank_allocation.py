"""`shrink r to target by sensitivity(…)` at a site: the tensors that have ranks, the schedule."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod

import torch

from ....dsl import syntax
from ....dsl.diagnostics.ranks import NothingToShrink, WrongSchedule
from ....dsl.diagnostics.report import SpecError
from ....dsl.syntax.source import Span
from ....dsl.syntax.vocabulary import POLICIES
from ....runtime.ranks import STATE, Ranked, Schedule
from .declarations import Declared

Number = Callable[[syntax.Expression], object]
"""The number that an expression is at a site."""


@dataclass(frozen=True, slots=True)
class Shrinking:
    """How the ranks of a site are allocated while it trains."""

    dim: str
    schedule: Schedule
    ranked: Ranked


def shrinking(
    item: syntax.Shrink, tensors: tuple[Declared, ...], number: Number, statement: Span
) -> Shrinking:
    """Work an item out for a site.

    Raises SpecError where no tensor, or more than one, has a number for each rank, or a number of
    the schedule makes no sense.
    """
    axes = tuple(_axes(item, tensors, statement))
    single = [
        tensor.name
        for tensor, axis in axes
        if prod(tensor.shape) == tensor.shape[axis] and not tensor.frozen
    ]
    if len(single) != 1:
        raise SpecError([NothingToShrink(item.span, statement, item.dim, tuple(single))])
    ranks = next(tensor.shape[axis] for tensor, axis in axes)
    target = number(item.to)
    if not _is_whole(target, 1) or target > ranks:  # pyright: ignore[reportOperatorIssue]
        wanted = f"a whole number from 1 to {ranks}"
        raise SpecError([WrongSchedule(item.to.span, statement, _GOAL, wanted, _found(target))])
    trained = tuple((tensor.name, axis) for tensor, axis in axes if not tensor.frozen)
    ranked = Ranked(trained, single[0], int(target))  # pyright: ignore[reportArgumentType]
    return Shrinking(item.dim, _schedule(item, number, statement), ranked)


def _axes(
    item: syntax.Shrink, tensors: tuple[Declared, ...], statement: Span
) -> Iterator[tuple[Declared, int]]:
    """The tensors that have the axis, with its number; once each, and at each site of their own."""
    for tensor in tensors:
        count = tensor.axes.count(item.dim)
        if count > 1 or (count and tensor.scope is not None):
            raise SpecError([NothingToShrink(item.span, statement, item.dim, (), tensor.name)])
        if count:
            yield tensor, tensor.axes.index(item.dim)


_GOAL = "what it shrinks to"
_LEAST = {"steps": 1, "start": 0, "settle": 0, "every": 1}


def _schedule(item: syntax.Shrink, number: Number, statement: Span) -> Schedule:
    names = POLICIES[item.policy.function.span.text].parameters
    given: dict[str, object] = {}
    for place, argument in enumerate(item.policy.arguments):
        name = argument.name or names[place]
        value = given[name] = number(argument.value)
        least = _LEAST.get(name)
        fits = _is_share(value) if least is None else _is_whole(value, least)
        if not fits:
            wanted = (
                "at least 0 and below 1" if least is None else f"a whole number of at least {least}"
            )
            raise SpecError(
                [WrongSchedule(argument.span, statement, f"`{name}`", wanted, _found(value))]
            )
    schedule = Schedule(**given)  # pyright: ignore[reportArgumentType]
    if schedule.start >= schedule.last:
        sooner = f"more than start + settle = {schedule.start + schedule.settle}"
        raise SpecError(
            [WrongSchedule(item.span, statement, "`steps`", sooner, _found(schedule.steps))]
        )
    return schedule


def _found(value: object) -> str:
    return f"this is {value:g}" if isinstance(value, int | float) else "this is no number"


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and value >= least


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and 0 <= value < 1


def states(what: Shrinking, tensors: tuple[Declared, ...]) -> tuple[Declared, ...]:
    """The buffers of an allocator at a site."""
    shapes: Mapping[str, tuple[int, ...]] = {tensor.name: tensor.shape for tensor in tensors}
    ranks = shapes[what.ranked.values]
    span = next(tensor.span for tensor in tensors if tensor.name == what.ranked.values)

    def buffer(
        name: str, shape: tuple[int, ...], dtype: torch.dtype | None, value: int
    ) -> Declared:
        first = syntax.Number(value, span)
        names = (None,) * len(shape)
        return Declared(f"{STATE}.{name}", shape, names, True, None, first, None, None, span, dtype)  # noqa: FBT003

    averages = (
        buffer(f"{what_of}.{name}", shapes[name], None, 0)
        for name, _ in what.ranked.axes
        for what_of in ("sensitivity", "uncertainty")
    )
    # Of these types gloo can send numbers, with which CPUs train together.
    return (
        buffer("step", (), torch.int64, 0),
        buffer("kept", (prod(ranks),), torch.uint8, 1),
        buffer("ranks", (what.schedule.allocations,), torch.int32, 0),
        *averages,
    )
