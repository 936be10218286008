"""Products of matrices are applied in the cheaper order."""

from dataclasses import dataclass
from functools import partial

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import TOKENS, axes, call, shape
from .matmul_cost import Work
from .rewriter import everywhere, is_call


@dataclass(frozen=True, slots=True)
class Reassociate:
    """`linear(x, B @ A, b) --> linear(linear(x, A), B, b)`, where that takes fewer multiplications.

    A product that holds the base weight is always taken apart: forming it would copy the weight in
    each step.
    """

    name: str = "reassociate"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, partial(_reassociate, work=Work()))


def _reassociate(graph: Graph, node: Node, *, work: Work) -> Node | None:
    if not is_call(node, functional.linear) or not is_call(node.args[1], torch.matmul):
        return None
    x, product, *rest = node.args
    rows, columns = shape(product)  # pyright: ignore[reportArgumentType]
    dense = TOKENS * rows * columns + work.forming(product)  # pyright: ignore[reportArgumentType]
    if work.in_turn(product) > dense and not work.holds_base(product):  # pyright: ignore[reportArgumentType]
        return None
    left, right = product.args  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    inner = call(graph, functional.linear, x, right, None, axes=(*axes(node)[:-1], axes(right)[0]))  # pyright: ignore[reportArgumentType]
    return call(graph, functional.linear, inner, left, rest[0] if rest else None, axes=axes(node))
