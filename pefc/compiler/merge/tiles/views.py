"""Strips of what only moves numbers: transposed, cut out, put in, given an axis more or less."""

import operator
from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor
from torch.fx import Node

from ...ops import shape
from .tile import (
    Need,
    Numbers,
    Places,
    Rule,
    Step,
    as_range,
    called,
    from_end,
    of_values,
    operand,
    shifted,
)


def _transpose(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    rank = len(shape(node))
    first, second = (from_end(dim, rank) for dim in node.args[1:])
    below = {first: second, second: first}.get(axis, axis)
    return of_values((Need(operand(node), below),), lambda part: part.transpose(first, second))


def _unsqueeze(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    new = from_end(node.args[1], len(shape(node)))
    if axis == new:
        return None
    below = axis if axis > new else axis + 1
    return of_values((Need(operand(node), below),), lambda part: part.unsqueeze(new))


def _select(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    gone = from_end(node.args[1], len(shape(operand(node))))
    index = cast("int", node.args[2])
    below = axis if axis > gone else axis - 1
    return of_values((Need(operand(node), below),), lambda part: part.select(gone, index))


def _getitem(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    """Of slices alone, which keep every axis."""
    value, items = operand(node), node.args[1]
    cuts = items if isinstance(items, tuple) else (items,)
    if not isinstance(value.meta["val"], Tensor) or not all(map(_is_cut, cuts)):
        return None
    ranges = [range(size) for size in shape(value)]
    for place, cut in enumerate(cast("tuple[slice, ...]", cuts)):
        ranges[place] = ranges[place][cut]
    own = ranges[axis]

    def compute(part: Tensor) -> Tensor:
        for place, kept in enumerate(ranges):
            if place != len(ranges) + axis:
                part = part.narrow(place, kept.start, len(kept))
        return part

    return of_values((Need(value, axis, lambda places: shifted(places, own.start)),), compute)


def _is_cut(item: object) -> bool:
    return isinstance(item, slice) and item.step in {None, 1}


def _narrow(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    value, dim, start, length = cast("tuple[Node, int, int, int]", node.args)
    if from_end(dim, len(shape(value))) == axis:
        needs = (Need(value, axis, lambda places: shifted(places, start)),)
        return of_values(needs, lambda part: part)
    return of_values((Need(value, axis),), lambda part: part.narrow(dim, start, length))


def _index_select(node: Node, axis: int, numbers: Numbers) -> Step:
    value, dim, rows = cast("tuple[Node, int, Node]", node.args)
    if from_end(dim, len(shape(value))) != axis:
        return of_values((Need(value, axis), Need(rows)), lambda a, b: a.index_select(dim, b))

    def chosen(places: Places) -> Places:
        known = numbers(rows)
        return as_range(tuple(known[place] for place in places))

    return of_values((Need(value, axis, chosen),), lambda part: part)


def _slice_scatter(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    value, part, dim, start, stop = cast("tuple[Node, Node, int, int, int]", node.args)
    if from_end(dim, len(shape(value))) != axis:
        needs = (Need(value, axis), Need(part, axis))
        return of_values(needs, lambda a, b: called(node, {value: a, part: b}))
    return _replaced(value, part, axis, lambda: range(start, stop))


def _index_copy(node: Node, axis: int, numbers: Numbers) -> Step:
    value, dim, rows, part = cast("tuple[Node, int, Node, Node]", node.args)
    if from_end(dim, len(shape(value))) != axis:
        needs = (Need(value, axis), Need(rows), Need(part, axis))
        return of_values(needs, lambda a, b, c: a.index_copy(dim, b, c))
    return _replaced(value, part, axis, lambda: numbers(rows))


def _replaced(value: Node, part: Node, axis: int, rows: Callable[[], Places]) -> Step:
    """Of a strip that holds some of the rows, these are replaced."""

    def positions() -> Mapping[int, int]:
        return {row: position for position, row in enumerate(rows())}

    def needed(places: Places) -> Places:
        known = positions()
        return as_range(tuple(known[place] for place in places if place in known))

    def compute(like: Tensor, places: Places, old: Tensor, new: Tensor | None) -> Tensor:
        if new is None:
            return old
        known = positions()
        here = [number for number, place in enumerate(places) if place in known]
        return old.index_copy(axis, torch.tensor(here, device=like.device), new)

    return Step((Need(value, axis), Need(part, axis, needed)), compute)


SHAPING: Mapping[object, Rule] = {
    torch.transpose: _transpose,
    torch.unsqueeze: _unsqueeze,
    torch.select: _select,
    operator.getitem: _getitem,
    torch.narrow: _narrow,
    torch.index_select: _index_select,
    torch.slice_scatter: _slice_scatter,
    torch.index_copy: _index_copy,
}
