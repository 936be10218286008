"""Diagonal matrices become elementwise products."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..lower.nodes import axes, call
from .rewrite import everywhere, is_call


@dataclass(frozen=True, slots=True)
class Diagonal:
    """`linear(x, diag(g), b) --> x * g + b`."""

    name: str = "diagonal"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _scale)


def _scale(graph: Graph, node: Node) -> Node | None:
    if not is_call(node, functional.linear) or not is_call(node.args[1], torch.diag):
        return None
    x, matrix, *rest = node.args
    product = call(graph, torch.mul, x, matrix.args[0], axes=axes(node))  # type: ignore[union-attr]
    if not rest or rest[0] is None:
        return product
    return call(graph, torch.add, product, rest[0], axes=axes(node))
