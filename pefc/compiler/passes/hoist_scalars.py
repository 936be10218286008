"""Numbers move out of matrix products, to where they scale the smallest tensor."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import axes, call
from .rewriter import everywhere, is_call


@dataclass(frozen=True, slots=True)
class Scalars:
    """`(B * s) @ A --> (B @ A) * s` and `linear(x, M * s) --> linear(x, M) * s`, for a number s."""

    name: str = "scalars"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _hoist)


def scaled(value: object) -> tuple[Node, float] | None:
    """The tensor and the number of `M * s`, `M / s` or `-M`."""
    if is_call(value, torch.neg):
        return value.args[0], -1.0  # pyright: ignore[reportReturnType]
    if not is_call(value, torch.mul, torch.div):
        return None
    tensor, number = value.args
    if isinstance(number, Node) or not isinstance(tensor, Node):
        return None
    return tensor, (number if is_call(value, torch.mul) else 1 / number)  # pyright: ignore[reportOperatorIssue]


def times(graph: Graph, tensor: Node, number: float) -> Node:
    """`tensor * number`, folded into a number that scales it already."""
    inner = scaled(tensor)
    if inner is not None:
        tensor, number = inner[0], inner[1] * number
    return call(graph, torch.mul, tensor, number, axes=axes(tensor))


def _hoist(graph: Graph, node: Node) -> Node | None:
    if is_call(node, torch.mul) and (twice := scaled(node)) and (inner := scaled(twice[0])):
        return call(graph, torch.mul, inner[0], inner[1] * twice[1], axes=axes(node))
    if is_call(node, torch.matmul):
        return _hoist_from_product(graph, node)
    if (
        is_call(node, functional.linear)
        and (factor := scaled(node.args[1]))
        and _bias(node) is None
    ):
        product = call(graph, functional.linear, node.args[0], factor[0], None, axes=axes(node))
        return times(graph, product, factor[1])
    return None


def _hoist_from_product(graph: Graph, node: Node) -> Node | None:
    left, right = node.args
    for position, operand in enumerate((left, right)):
        if factor := scaled(operand):
            operands = (factor[0], right) if position == 0 else (left, factor[0])
            return times(graph, call(graph, torch.matmul, *operands, axes=axes(node)), factor[1])
    return None


def _bias(node: Node) -> object:
    return node.args[2] if len(node.args) > 2 else None
