"""Matrices that repeat themselves are applied without being formed."""

from dataclasses import dataclass
from functools import partial

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import PRODUCTS, axes, call, shape
from .matmul_cost import Work
from .rewriter import everywhere, is_call


@dataclass(frozen=True, slots=True)
class Structured:
    """`linear(x, kron(C, D)) --> kron_product(x, C, D)`, and likewise for circulant blocks and
    repeated columns, where that takes fewer multiplications.
    """

    name: str = "structured"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, partial(_structured, work=Work()))


def _structured(graph: Graph, node: Node, *, work: Work) -> Node | None:
    if not is_call(node, functional.linear):
        return None
    x, matrix, *rest = node.args
    if not is_call(matrix, *PRODUCTS):
        return None
    assert isinstance(x, Node)
    rows, columns = shape(matrix)
    tokens = shape(x)[0]
    if work.applying(matrix) >= tokens * rows * columns + work.forming(matrix):
        return None
    operands = [operand for operand in matrix.args if isinstance(operand, Node)]
    product = PRODUCTS[matrix.target]  # pyright: ignore[reportArgumentType]
    made = call(graph, product, x, *operands, axes=axes(node))
    bias = rest[0] if rest else None
    return made if bias is None else call(graph, torch.add, made, bias, axes=axes(node))
