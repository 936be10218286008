"""Products with matrices that are blocks on their diagonal, and zeros, are made of the blocks."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import Graph, Node

from ..ops import axes, block_diagonal, call
from .rewriter import everywhere, is_call, is_matrix


@dataclass(frozen=True, slots=True)
class Blocks:
    """`M @ block_diag(b) --> times_blocks(M, b)` and `block_diag(b) @ M --> blocks_times(b, M)`."""

    name: str = "blocks"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _blocks)


def times_blocks(matrix: Tensor, blocks: Tensor) -> Tensor:
    """[m, n a] times a diagonal of n blocks [a, b]: [m, n b]."""
    count, rows, _ = blocks.shape
    parts = matrix.unflatten(-1, (count, rows)).transpose(0, 1)
    return torch.matmul(parts, blocks).transpose(0, 1).flatten(1)


def blocks_times(blocks: Tensor, matrix: Tensor) -> Tensor:
    """A diagonal of n blocks [a, b] times [n b, m]: [n a, m]."""
    count, _, columns = blocks.shape
    return torch.matmul(blocks, matrix.unflatten(0, (count, columns))).flatten(0, 1)


def _blocks(graph: Graph, node: Node) -> Node | None:
    if not is_call(node, torch.matmul):
        return None
    left, right = node.args
    if (found := _diagonal(graph, right)) is not None and is_matrix(left):
        return call(graph, times_blocks, left, found, axes=axes(node))
    if (found := _diagonal(graph, left)) is not None and is_matrix(right):
        return call(graph, blocks_times, found, right, axes=axes(node))
    return None


def _diagonal(graph: Graph, node: object) -> Node | None:
    """The blocks of a matrix that has nothing else, or of one that is turned."""
    if is_call(node, block_diagonal):
        return node.args[0]  # pyright: ignore[reportReturnType]
    if is_call(node, torch.transpose) and is_call(node.args[0], block_diagonal):
        return call(graph, torch.transpose, node.args[0].args[0], -2, -1)
    return None
