"""Matrices with structure: reflections, rotations, blocks."""

import math

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from .arithmetic import transpose
from .limits import LARGEST_ROTATION, MOST_REFLECTIONS, check_most
from .node import call, shape


def identity_like(like: torch.Tensor, size: int) -> torch.Tensor:
    """The identity matrix, with the dtype and device of another tensor."""
    return torch.eye(size, dtype=like.dtype, device=like.device)


CREATORS: frozenset[object] = frozenset(
    {torch.Tensor.new_zeros, torch.Tensor.new_full, identity_like}
)
"""Calls that read nothing of their operand but its dtype and its device."""


def identity(graph: Graph, size: int, like: Node) -> Node:
    """The node of an identity matrix."""
    return call(graph, identity_like, like, size)


def householder(graph: Graph, columns: Node) -> Node:
    """The product of the reflections I - 2 u uᵀ / ‖u‖² over the columns u, first column
    leftmost.
    """
    size, count = shape(columns)
    check_most("columns", count, MOST_REFLECTIONS)
    product = identity(graph, size, columns)
    units = call(graph, functional.normalize, columns, _NORM, 0)
    for index in range(count):
        unit = call(graph, torch.narrow, units, 1, index, 1)
        thin = call(graph, torch.matmul, product, unit)
        rank_one = call(graph, torch.matmul, thin, transpose(graph, unit))
        product = call(graph, torch.sub, product, call(graph, torch.mul, rank_one, 2))
    return product


_NORM = 2.0
"""Lengths are square roots of sums of squares."""


def skew(graph: Graph, entries: Node) -> Node:
    """The antisymmetric matrices whose upper triangles, row by row, are the last axis of
    `entries`.
    """
    count = shape(entries)[-1]
    size = (1 + math.isqrt(1 + 8 * count)) // 2
    check_most("rows", size, LARGEST_ROTATION)
    rows, columns = (tuple(int(i) for i in axis) for axis in torch.triu_indices(size, size, 1))
    flat = [row * size + column for row, column in zip(rows, columns, strict=True)]
    wide = call(graph, entries_to_matrix, entries, tuple(flat), size)
    return call(graph, torch.sub, wide, transpose(graph, wide))


def entries_to_matrix(entries: torch.Tensor, positions: tuple[int, ...], size: int) -> torch.Tensor:
    """Square matrices of zeros with `entries` at the flat `positions`."""
    flat = entries.new_zeros(*entries.shape[:-1], size * size)
    where = torch.tensor(positions, device=entries.device).expand(entries.shape)
    return flat.scatter(-1, where, entries).unflatten(-1, (size, size))


def cayley(graph: Graph, skew: Node) -> Node:
    """The rotation (I - Q)(I + Q)⁻¹ of an antisymmetric Q."""
    one = identity(graph, shape(skew)[-1], skew)
    return call(graph, solve, call(graph, torch.add, one, skew), call(graph, torch.sub, one, skew))


def solve(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """left⁻¹ @ right, solved in at least 32 bits: there is no smaller solver."""
    wide = torch.promote_types(left.dtype, torch.float32)
    return torch.linalg.solve(left.to(wide), right.to(wide)).to(right.dtype)


def block_diagonal(blocks: torch.Tensor) -> torch.Tensor:
    """[n, a, b] blocks as one [n a, n b] matrix."""
    return torch.block_diag(*blocks.unbind(0))


def block_diag(graph: Graph, blocks: Node) -> Node:
    return call(graph, block_diagonal, blocks)


def circulant(graph: Graph, blocks: Node) -> Node:
    """[a, b, n], the first rows of circulant blocks, as one [a n, b n] matrix."""
    return call(graph, block_circulant, blocks)


def block_circulant(blocks: torch.Tensor) -> torch.Tensor:
    """Every block has its entry j - i, modulo n, in row i and column j."""
    rows, columns, size = blocks.shape
    place = torch.arange(size, device=blocks.device)
    wide = blocks[:, :, (place - place[:, None]) % size]
    return wide.transpose(1, 2).reshape(rows * size, columns * size)


def tile(graph: Graph, matrix: Node, columns: int) -> Node:
    """The columns of a matrix, over and over, until there are so many."""
    return call(graph, tiled, matrix, columns)


def tiled(matrix: torch.Tensor, columns: int) -> torch.Tensor:
    """[a, r] --> [a, columns]; the last repetition may be cut off."""
    times = -(-columns // matrix.shape[-1])
    return matrix.repeat(1, times)[:, :columns]
