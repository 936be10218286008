"""Is y an affine function of x, with coefficients that do not depend on x? Then the method
merges.
"""

import operator
from collections.abc import Callable
from enum import IntEnum

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import BASE, CREATORS, rotated_halves


class _Degree(IntEnum):
    CONSTANT = 0
    AFFINE = 1
    OTHER = 2


_SUMS = (torch.add, torch.sub)
_PRODUCTS = (torch.mul, torch.matmul, torch.einsum, torch.kron)
_REARRANGEMENTS = (
    torch.neg,
    torch.reshape,
    torch.flatten,
    torch.unflatten,
    torch.transpose,
    rotated_halves,
    torch.narrow,
    torch.index_select,
    torch.slice_scatter,
    torch.index_copy,
    torch.stack,
    torch.detach,
    operator.getitem,
    functional.dropout,
)


def is_affine(graph: Graph) -> bool:
    """Whether the output of a plain patch is affine in its input x, row by row."""
    degrees: dict[Node, _Degree] = {}
    for node in graph.nodes:
        degrees[node] = _degree(node, [degrees[operand] for operand in node.all_input_nodes])
    return degrees[graph.output_node()] <= _Degree.AFFINE


def _degree(node: Node, operands: list[_Degree]) -> _Degree:
    if node.op == "placeholder":
        return _Degree.AFFINE
    if node.target in CREATORS:
        return _Degree.CONSTANT
    if node.target is torch.Tensor.type_as:
        return operands[0]
    highest = max(operands, default=_Degree.CONSTANT)
    if highest is not _Degree.AFFINE or node.op == "output" or node.target == BASE:
        return highest
    return _affine_call(node.target, operands)  # pyright: ignore[reportArgumentType]


def _affine_call(function: Callable[..., object], operands: list[_Degree]) -> _Degree:
    if function in _SUMS or function in _REARRANGEMENTS:
        return _Degree.AFFINE
    only_first = operands[0] is _Degree.AFFINE and not any(operands[1:])
    if function in _PRODUCTS:
        return _Degree.AFFINE if operands.count(_Degree.AFFINE) == 1 else _Degree.OTHER
    if function in {functional.linear, torch.div}:
        return _Degree.AFFINE if only_first else _Degree.OTHER
    return _Degree.OTHER
