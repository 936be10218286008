"""What a merge asks of a map, its values at the identity and at zero, without a product."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import axes, call, identity_like, shape
from .rewriter import everywhere, is_call

_KEEPS = (torch.add, torch.mul, torch.matmul, torch.transpose)
"""Their first operand has the dtype of what they give."""


@dataclass(frozen=True, slots=True)
class Units:
    """`linear(I, M, b) --> Mᵀ + b`, `linear(0, M, b) --> 0 + b`, and zeros like a sum are zeros
    like its first term, so that the sum need not wait for them.
    """

    name: str = "units"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _unit)


def _unit(graph: Graph, node: Node) -> Node | None:
    if is_call(node, torch.Tensor.new_zeros) and is_call(node.args[0], *_KEEPS):
        like = node.args[0].args[0]
        return _zeros(graph, node, like) if isinstance(like, Node) else None
    if not is_call(node, functional.linear):
        return None
    x, matrix, *rest = node.args
    if is_call(x, identity_like):
        product = call(graph, torch.transpose, matrix, -2, -1, axes=axes(node))
    elif is_call(x, torch.Tensor.new_zeros):
        product = _zeros(graph, node, x)
    else:
        return None
    bias = rest[0] if rest else None
    return product if bias is None else call(graph, torch.add, product, bias, axes=axes(node))


def _zeros(graph: Graph, node: Node, like: Node) -> Node:
    return call(graph, torch.Tensor.new_zeros, like, shape(node), axes=axes(node))
