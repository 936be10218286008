"""What is added and taken away again."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from ..ops import shape
from .rewriter import everywhere, is_call


@dataclass(frozen=True, slots=True)
class Cancel:
    """`(W + D) - W --> D`."""

    name: str = "cancel"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _cancel)


def _cancel(graph: Graph, node: Node) -> Node | None:  # noqa: ARG001
    if not is_call(node, torch.sub) or not is_call(node.args[0], torch.add):
        return None
    total, taken = node.args
    first, second = total.args  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    left = second if first is taken else first if second is taken else None
    is_whole = isinstance(left, Node) and shape(left) == shape(node)
    return left if is_whole else None  # pyright: ignore[reportReturnType]
