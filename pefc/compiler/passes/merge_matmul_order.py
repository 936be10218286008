"""Chains of products are formed in the cheaper order."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from ..ops import axes, call, shape
from .rewriter import everywhere, is_call, is_matrix


@dataclass(frozen=True, slots=True)
class Associate:
    """`(P @ Q) @ M --> P @ (Q @ M)` and `M @ (P @ Q) --> (M @ P) @ Q`, where that takes fewer
    multiplications.
    """

    name: str = "associate"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _associate)


def _associate(graph: Graph, node: Node) -> Node | None:
    if not is_call(node, torch.matmul) or not all(map(is_matrix, node.args)):
        return None
    left, right = node.args
    rows, columns = shape(node)
    if is_call(left, torch.matmul) and all(map(is_matrix, left.args)):
        first, second = left.args
        rank, inner = shape(second)  # pyright: ignore[reportArgumentType]
        if rank * columns * (inner + rows) < rows * inner * (rank + columns):
            product = call(graph, torch.matmul, second, right)
            return call(graph, torch.matmul, first, product, axes=axes(node))
    if is_call(right, torch.matmul) and all(map(is_matrix, right.args)):
        first, second = right.args
        inner, rank = shape(first)  # pyright: ignore[reportArgumentType]
        if rows * rank * (inner + columns) < inner * columns * (rank + rows):
            product = call(graph, torch.matmul, left, first)
            return call(graph, torch.matmul, product, second, axes=axes(node))
    return None
