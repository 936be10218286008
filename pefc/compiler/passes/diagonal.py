"""Diagonal matrices become elementwise products."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import axes, call
from .rewriter import everywhere, is_call


@dataclass(frozen=True, slots=True)
class Diagonal:
    """`linear(x, diag(g), b) --> x * g + b`."""

    name: str = "diagonal"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _scale)


@dataclass(frozen=True, slots=True)
class Rescale:
    """`diag(g) @ B --> g[:, none] * B` and `A @ diag(w) --> A * w`, for what is left of diagonal
    matrices.
    """

    name: str = "rescale"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _rescale)


def _rescale(graph: Graph, node: Node) -> Node | None:
    if not is_call(node, torch.matmul):
        return None
    left, right = node.args
    if is_call(right, torch.diag):
        return call(graph, torch.mul, left, right.args[0], axes=axes(node))
    if is_call(left, torch.diag):
        column = call(graph, torch.unsqueeze, left.args[0], -1)
        return call(graph, torch.mul, right, column, axes=axes(node))
    return None


def _scale(graph: Graph, node: Node) -> Node | None:
    if not is_call(node, functional.linear) or not is_call(node.args[1], torch.diag):
        return None
    x, matrix, *rest = node.args
    product = call(graph, torch.mul, x, matrix.args[0], axes=axes(node))  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    if not rest or rest[0] is None:
        return product
    return call(graph, torch.add, product, rest[0], axes=axes(node))
