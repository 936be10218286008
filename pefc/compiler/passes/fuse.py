"""A product that is added to something becomes one operation."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..lower.nodes import axes, call, shape
from .rewrite import everywhere, is_call
from .scalars import scaled


@dataclass(frozen=True, slots=True)
class FuseAdd:
    """`u + linear(h, B) * s --> addmm(u, h, Bᵀ, alpha=s)`, over flattened leading dims."""

    name: str = "fuse-add"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _fuse)


def _fuse(graph: Graph, node: Node) -> Node | None:
    if not is_call(node, torch.add):
        return None
    first, second = node.args
    if not isinstance(first, Node) or not isinstance(second, Node) or shape(first) != shape(node):
        return None
    if shape(second) != shape(node):
        return None
    factor = 1.0
    if (inner := scaled(second)) and len(second.users) == 1:
        second, factor = inner
    if not is_call(second, functional.linear) or len(second.users) != 1 or second.args[2] is not None:
        return None
    thin, matrix = second.args[:2]
    rows = _flat(graph, first)
    columns = _flat_product(graph, thin)  # type: ignore[arg-type]
    turned = call(graph, torch.t, matrix)
    scale = {} if factor == 1.0 else {"alpha": factor}
    total = call(graph, torch.addmm, rows, columns, turned, **scale)
    return call(graph, torch.Tensor.view_as, total, first, axes=axes(node))


def _flat(graph: Graph, value: Node) -> Node:
    return call(graph, torch.reshape, value, (-1, shape(value)[-1]))


def _flat_product(graph: Graph, thin: Node) -> Node:
    """The thin product with flattened rows: of a product that nobody else reads, the input is flattened instead."""
    if is_call(thin, functional.linear) and len(thin.users) == 1:
        x, *parameters = thin.args
        return call(graph, functional.linear, _flat(graph, x), *parameters)  # type: ignore[arg-type]
    return _flat(graph, thin)
