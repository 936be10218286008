"""Decompositions of matrices, for initial values."""

import operator

import torch
from torch.fx import Graph, Node

from .node import Axes, axes, call


def svd(graph: Graph, matrix: Node) -> tuple[Node, ...]:
    """U [m, n], S [n] and Vh [n, k] of a matrix [m, k], n = min(m, k)."""
    rows, columns = axes(matrix)
    return _parts(graph, call(graph, thin_svd, matrix), ((rows, None), (None,), (None, columns)))


def qr(graph: Graph, matrix: Node) -> tuple[Node, ...]:
    """Q [m, n] and R [n, k] of a matrix [m, k], n = min(m, k)."""
    rows, columns = axes(matrix)
    return _parts(graph, call(graph, thin_qr, matrix), ((rows, None), (None, columns)))


def thin_svd(matrix: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The singular vectors and values, worked out in at least 32 bits: there is no smaller
    solver.
    """
    found = torch.linalg.svd(_wide(matrix), full_matrices=False)
    return tuple(part.to(matrix.dtype) for part in found)


def thin_qr(matrix: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The orthonormal and the triangular factor, worked out in at least 32 bits."""
    return tuple(part.to(matrix.dtype) for part in torch.linalg.qr(_wide(matrix)))


def _wide(matrix: torch.Tensor) -> torch.Tensor:
    return matrix.to(torch.promote_types(matrix.dtype, torch.float32))


def _parts(graph: Graph, whole: Node, names: tuple[Axes, ...]) -> tuple[Node, ...]:
    return tuple(
        call(graph, operator.getitem, whole, place, axes=own) for place, own in enumerate(names)
    )
