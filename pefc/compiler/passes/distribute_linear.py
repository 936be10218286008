"""A linear map over a sum of weights becomes a sum of linear maps."""

from dataclasses import dataclass
from functools import partial

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import axes, call, shape
from .matmul_cost import Work
from .rewriter import everywhere, is_call, is_weight


@dataclass(frozen=True, slots=True)
class Distribute:
    """`linear(x, W + D, b) --> linear(x, W, b) + linear(x, D)`, where D is cheaper to apply than to
    form; or always, where one of them is the base weight and the base keeps a product of its own.
    """

    name: str = "distribute"
    keeps_base: bool = False

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, partial(_distribute, work=Work(), keeps_base=self.keeps_base))


def _distribute(graph: Graph, node: Node, *, work: Work, keeps_base: bool) -> Node | None:
    if not is_call(node, functional.linear) or not is_call(node.args[1], torch.add, torch.sub):
        return None
    x, total, *rest = node.args
    first, second = total.args  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    if not _is_matrix(first, total) or not _is_matrix(second, total):  # pyright: ignore[reportArgumentType]
        return None
    of_base = keeps_base and (is_weight(first) or is_weight(second))
    if not of_base and not work.is_cheap(first) and not work.is_cheap(second):  # pyright: ignore[reportArgumentType]
        return None
    left = call(graph, functional.linear, x, first, rest[0] if rest else None, axes=axes(node))
    right = call(graph, functional.linear, x, second, None, axes=axes(node))
    return call(graph, total.target, left, right, axes=axes(node))  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue, reportOptionalMemberAccess]


def _is_matrix(term: object, total: Node) -> bool:
    """A summand that is not broadcast."""
    return isinstance(term, Node) and shape(term) == shape(total)
