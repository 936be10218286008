"""The base map runs as the model's author wrote it."""

from dataclasses import dataclass
from functools import partial

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import axes, base_call, call, holds_tokens, shape
from .rewriter import everywhere, is_bias, is_biased, is_call, is_weight


@dataclass(frozen=True, slots=True)
class RowsOfBase:
    """`linear(x, W[rows], b[rows]) --> linear(x, W, b)[rows]`: a slice of a fused map reads the
    map's one product.
    """

    name: str = "rows-of-base"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _rows_of_base)


@dataclass(frozen=True, slots=True)
class CallBase:
    """`linear(x, W, b) --> base(x)`, bit for bit what the module computes by itself; or that for
    tokens alone, and not for rows of the method.
    """

    name: str = "call-base"
    tokens_only: bool = False

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, partial(_call_base, tokens_only=self.tokens_only))


_TAKES = (torch.narrow, torch.index_select)


def _rows_of_base(graph: Graph, node: Node) -> Node | None:
    if not is_call(node, functional.linear) or not is_call(node.args[1], *_TAKES):
        return None
    x, taken, *rest = node.args
    if not is_weight(taken.args[0]):  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
        return None
    bias = rest[0] if rest else None
    if bias is not None:
        if not is_call(bias, *_TAKES) or not is_bias(bias.args[0]):
            return None
        bias = bias.args[0]
    whole = call(graph, functional.linear, x, taken.args[0], bias, axes=axes(node))  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    return call(graph, taken.target, whole, -1, *taken.args[2:], axes=axes(node))  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue, reportOptionalMemberAccess]


def _call_base(graph: Graph, node: Node, *, tokens_only: bool) -> Node | None:
    if not is_call(node, functional.linear) or not is_weight(node.args[1]):
        return None
    if tokens_only and not holds_tokens(node.args[0]):  # pyright: ignore[reportArgumentType]
        return None
    bias = node.args[2] if len(node.args) > 2 else None
    is_whole = is_bias(bias) if is_biased(node.args[1]) else bias is None  # pyright: ignore[reportGeneralTypeIssues]
    if not is_whole:
        return None
    return base_call(graph, node.args[0], shape(node)[-1])  # pyright: ignore[reportArgumentType, reportGeneralTypeIssues]
