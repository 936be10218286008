"""Features in groups: parts of the last axis that trade places, or are rotated in pairs."""

import torch
from torch.fx import Graph, Node

from .node import axes, call, shape


def split(graph: Graph, value: Node, parts: int) -> Node:
    """`[..., d] --> [..., parts, d / parts]`."""
    size = (parts, _quotient(shape(value)[-1], parts, "split"))
    return call(graph, torch.unflatten, value, -1, size, axes=(*axes(value)[:-1], None, None))


def join(graph: Graph, value: Node) -> Node:
    """`[..., n, d] --> [..., n * d]`."""
    return call(graph, torch.flatten, value, -2, -1, axes=(*axes(value)[:-2], None))


def shuffle(graph: Graph, value: Node, parts: int) -> Node:
    """Of `[..., n, r]`: part j of every row becomes row j, `[..., parts, n * r / parts]`."""
    cut = split(graph, value, parts)
    names = (*axes(cut)[:-3], None, None, None)
    return join(graph, call(graph, torch.transpose, cut, -3, -2, axes=names))


def halves(graph: Graph, vector: Node, group: int) -> Node:
    """A vector with an entry for two features, for both: [n] --> [2 n]."""
    (size,) = shape(vector)
    _quotient(2 * size, group, "grouped")
    return call(graph, doubled, vector, _half(group))


def doubled(vector: torch.Tensor, half: int) -> torch.Tensor:
    """Every `half` entries, twice."""
    return vector.view(-1, half).repeat_interleave(2, 0).flatten()


def rotate_half(graph: Graph, value: Node, group: int) -> Node:
    """In every group of features [a, b] becomes [-b, a]."""
    _quotient(shape(value)[-1], group, "grouped")
    return call(graph, rotated_halves, value, _half(group), axes=axes(value))


def rotated_halves(value: torch.Tensor, half: int) -> torch.Tensor:
    """[a, b] --> [-b, a] in every group of features, where a and b have `half` features."""
    first, second = value.unflatten(-1, (-1, 2, half)).unbind(-2)
    return torch.stack((-second, first), -2).flatten(-3)


def _half(group: int) -> int:
    if group % 2:
        message = f"a group of {group} features has no halves"
        raise ValueError(message)
    return group // 2


def _quotient(size: int, parts: int, verb: str) -> int:
    if parts < 1 or size % parts:
        message = f"{size} features cannot be {verb} by {parts}"
        raise ValueError(message)
    return size // parts
