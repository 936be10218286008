"""Weights on their way to a product: which axis of the parameter, and which part of it, an axis
there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..tape import Node, Tape

_IDENTITIES = frozenset("_to_copy clone alias detach".split())


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis that shows the numbers `part` of an axis of the parameter."""

    number: int
    part: range


Axes = tuple[Axis | None, ...]


def axes_of(tape: Tape, weight: int) -> Axes:
    """For each axis of a weight as it is multiplied, where in the parameter it comes from."""
    node = tape.nodes[weight]
    if node.kind == "parameter":
        return tuple(Axis(number, range(size)) for number, size in enumerate(node.shape))
    source = tape.nodes[node.inputs[0]]
    axes = _after(node, source, axes_of(tape, source.index))
    assert len(axes) == len(node.shape)
    return axes


def _after(node: Node, source: Node, axes: Axes) -> Axes:
    rest = node.arguments[1:]
    match node.kind:
        case name if name in _IDENTITIES or (node.shape == source.shape and name != "index"):
            return axes if name not in ("t", "transpose", "permute") else _permuted(node, axes)
        case "t" | "transpose" | "permute":
            return _permuted(node, axes)
        case "unsqueeze":
            place = int(rest[0]) % len(node.shape)  # pyright: ignore[reportArgumentType]
            return (*axes[:place], None, *axes[place:])
        case "select":
            place = int(rest[0]) % len(axes)  # pyright: ignore[reportArgumentType]
            return (*axes[:place], *axes[place + 1 :])
        case "unbind":
            place = int(rest[0]) % len(axes) if rest else 0  # pyright: ignore[reportArgumentType]
            return (*axes[:place], *axes[place + 1 :])
        case "slice":
            return _sliced(rest, axes)
        case "split" | "split_with_sizes" | "chunk":
            return _split(node, source, axes)
        case "index" | "index_select":
            return _indexed(node, source, axes)
        case _:
            return _reshaped(node.shape, source.shape, axes)


def _permuted(node: Node, axes: Axes) -> Axes:
    order = list(range(len(axes)))
    match node.arguments[1:]:
        case ():
            order.reverse()
        case (list() | tuple() as dims,):
            order = [int(d) % len(axes) for d in dims]
        case (int() as first, int() as second):
            order[first], order[second] = order[second], order[first]
    return tuple(axes[place] for place in order)


def _sliced(rest: Sequence[object], axes: Axes) -> Axes:
    dimension, start, stop, step = (*rest, *(0, None, None, 1)[len(rest) :])
    place = int(dimension) % len(axes)  # pyright: ignore[reportArgumentType]
    return _with_part(axes, place, slice(start, stop, step))


def _split(node: Node, source: Node, axes: Axes) -> Axes:
    rest = node.arguments[1:]
    place = int(rest[1]) % len(axes) if len(rest) > 1 else 0  # pyright: ignore[reportArgumentType]
    if node.kind == "split_with_sizes":
        start = sum(rest[0][: node.result])  # pyright: ignore[reportGeneralTypeIssues, reportIndexIssue]
    elif node.kind == "split":
        start = int(rest[0]) * node.result  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    else:
        start = -(-source.shape[place] // int(rest[0])) * node.result  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
    return _with_part(axes, place, slice(start, start + node.shape[place], 1))


def _with_part(axes: Axes, place: int, part: slice) -> Axes:
    axis = axes[place]
    cut = None if axis is None else Axis(axis.number, axis.part[part])
    return (*axes[:place], cut, *axes[place + 1 :])


def _indexed(node: Node, source: Node, axes: Axes) -> Axes:
    """Experts picked along one axis: that axis is lost, the others stay."""
    if node.kind == "index_select":
        place = int(node.arguments[1]) % len(axes)  # pyright: ignore[reportArgumentType]
        return (*axes[:place], None, *axes[place + 1 :])
    places = [place for place, item in enumerate(node.arguments[1]) if item is not None]  # pyright: ignore[reportArgumentType]
    added = len(node.shape) - len(source.shape) + len(places)
    first = places[0]
    return (
        *axes[:first],
        *((None,) * added),
        *(axes[p] for p in range(first, len(axes)) if p not in places),
    )


def _reshaped(shape: tuple[int, ...], before: tuple[int, ...], axes: Axes) -> Axes:
    """Leading and trailing axes of unchanged size are the same axes."""
    front = 0
    while front < min(len(shape), len(before)) and shape[front] == before[front]:
        front += 1
    back = 0
    while back < min(len(shape), len(before)) - front and shape[-1 - back] == before[-1 - back]:
        back += 1
    middle = (None,) * (len(shape) - front - back)
    return (*axes[:front], *middle, *axes[len(axes) - back :])
