"""Strips of matrices that are made of few numbers, and of features in groups."""

from collections.abc import Callable, Mapping
from typing import cast

import torch
from torch import Tensor
from torch.fx import Node

from ...ops import block_circulant, rotated_halves, scattered, shape, tiled
from .tile import Need, Numbers, Places, Rule, Step, called, from_end, of_values, operand


def _tiled(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    matrix = operand(node)
    if axis == -2:
        return of_values((Need(matrix, -2),), lambda part: called(node, {matrix: part}))
    rank = shape(matrix)[-1]
    columns = Need(matrix, -1, lambda places: tuple(place % rank for place in places))
    return of_values((columns,), lambda part: part)


def _block_circulant(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    """Row `i` of a block has its entry `j - i` in column j."""
    size = shape(operand(node))[-1]

    def compute(like: Tensor, places: Places, blocks: Tensor) -> Tensor:
        along = torch.arange(size, device=like.device)
        here = torch.tensor(tuple(places), dtype=torch.long, device=like.device)[:, None]
        if axis == -2:
            return blocks[here // size, :, (along - here) % size].transpose(1, 2).flatten(1)
        return blocks[:, here // size, (here - along) % size].transpose(1, 2).flatten(0, 1)

    return Step((Need(operand(node)),), compute)


def _scattered(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    values, index, (rows, columns) = cast("tuple[Node, Node, tuple[int, int]]", node.args)

    def compute(like: Tensor, places: Places, entries: Tensor, positions: Tensor) -> Tensor:
        known = torch.full((rows if axis == -2 else columns,), -1, device=like.device)
        known[torch.tensor(tuple(places), device=like.device)] = torch.arange(
            len(places), device=like.device
        )
        row, column = positions.long() // columns, positions.long() % columns
        here = known[row if axis == -2 else column]
        cut = here >= 0
        if axis == -2:
            return scattered(entries[cut], (here * columns + column)[cut], (len(places), columns))
        return scattered(entries[cut], (row * len(places) + here)[cut], (rows, len(places)))

    return Step((Need(values), Need(index)), compute)


def _in_groups(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    """What is done to the last axis goes row by row."""
    value = operand(node)
    return None if axis == -1 else of_values((Need(value, axis),), _call(node, value))


def _unflatten(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    """The last axis becomes two."""
    value = operand(node)
    if node.args[1] != -1 or axis >= -2:
        return None
    return of_values((Need(value, axis + 1),), _call(node, value))


def _flatten(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    """The last two axes become one."""
    value, *dims = node.args
    rank = len(shape(cast("Node", value)))
    if [from_end(dim, rank) for dim in dims] != [-2, -1] or axis == -1:
        return None
    return of_values((Need(cast("Node", value), axis - 1),), _call(node, cast("Node", value)))


def _call(node: Node, value: Node) -> Callable[[Tensor], Tensor]:
    return lambda part: called(node, {value: part})


REPEATED: Mapping[object, Rule] = {
    tiled: _tiled,
    block_circulant: _block_circulant,
    scattered: _scattered,
    rotated_halves: _in_groups,
    torch.unflatten: _unflatten,
    torch.flatten: _flatten,
}
