"""Strips: some places along one axis of a value, and what they are made of. Axes are counted from
the end.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.fx import Node
from torch.fx.node import map_arg

Places = range | tuple[int, ...]
"""Numbers along an axis."""
Numbers = Callable[[Node], tuple[int, ...]]
"""The values of a node that holds row numbers."""


@dataclass(frozen=True, slots=True)
class Need:
    """Some places along an axis of an operand; without an axis, all of it."""

    node: Node
    axis: int | None = None
    places: Callable[[Places], Places] = lambda places: places


@dataclass(frozen=True, slots=True)
class Step:
    """How a strip comes of its needs."""

    needs: tuple[Need, ...]
    compute: Callable[..., Tensor]
    """Takes a tensor for dtype and device, the places, and the values of the needs; None stands for
    no places at all.
    """


Rule = Callable[[Node, int, Numbers], Step | None]
"""How places along an axis of a call are worked out; None where all of it has to be."""


def of_values(needs: tuple[Need, ...], compute: Callable[..., Tensor]) -> Step:
    """A step that does the same whatever the places are."""
    return Step(needs, lambda like, places, *values: compute(*values))  # noqa: ARG005


def taken(value: Tensor, axis: int, places: Places) -> Tensor:
    """Some places along an axis of a tensor."""
    if isinstance(places, range):
        return value.narrow(axis, places.start, len(places))
    return value.index_select(axis, torch.tensor(places, dtype=torch.long, device=value.device))


def as_range(places: tuple[int, ...]) -> Places:
    """The same numbers, as a range where they are one."""
    whole = range(places[0], places[0] + len(places)) if places else range(0)
    return whole if places == tuple(whole) else places


def shifted(places: Places, by: int) -> Places:
    """The places that begin so much later."""
    if isinstance(places, range):
        return range(places.start + by, places.stop + by)
    return tuple(place + by for place in places)


def operand(node: Node, position: int = 0) -> Node:
    """An operand of a call that is a value of the graph."""
    return cast("Node", node.args[position])


def from_end(dim: object, rank: int) -> int:
    """An axis as it counts from the end."""
    return cast("int", dim) % rank - rank


def called(node: Node, known: Mapping[Node, Tensor]) -> Tensor:
    """A call with other values than its own operands."""

    def value(argument: object) -> object:
        return map_arg(argument, known.__getitem__)  # pyright: ignore[reportArgumentType]

    function = cast("Callable[..., Tensor]", node.target)
    return function(*map(value, node.args), **{k: value(v) for k, v in node.kwargs.items()})
