"""What is added and taken away again."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from .rewrite import everywhere, is_call


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
    first, second = total.args  # type: ignore[union-attr]
    if first is taken:
        return second  # type: ignore[return-value]
    return first if second is taken else None  # type: ignore[return-value]
