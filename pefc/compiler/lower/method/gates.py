"""Gates of a formula: `gate(unipelt) { … }` lets a learned share of each change through."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from ....dsl import syntax
from ....runtime.tasks import NAME as GATES
from ....runtime.tasks import Gates, gate_scores, gated_rows, kept, noted
from ...ops import axes, call
from .declarations import Declared
from .environment import Attached
from .method import Elaborated

_SPREAD = 0.02
"""The deviation of a gate's first weights, as in the paper's code."""


def gate_tensors(method: Elaborated, width: int) -> tuple[Declared, ...]:
    """`gate: width -> 1 ~ normal(0, 0.02)`, beside the tensors of a method."""
    span = method.attachment.span
    drawn = ("normal", (0.0, _SPREAD))
    zero = syntax.Number(0, span)
    weight = Declared("gate.weight", (1, width), (None, None), False, None, None, drawn, None, span)  # noqa: FBT003
    bias = Declared("gate.bias", (1,), (None,), False, None, zero, None, None, span)  # noqa: FBT003
    return weight, bias


def gate(attached: Attached, x: Node) -> Node:
    """The gate of a method for what it reads, one number a row."""
    graph, prefix = attached.graph, attached.member.prefix
    weight, bias = (attached.tensor(f"gate.{part}") for part in ("weight", "bias"))
    scores = call(graph, gate_scores, x, weight, bias, axes=(*axes(x)[:-1], None))
    return call(graph, kept, scores, _gates(graph), prefix, axes=(None, None))


@dataclass(frozen=True, slots=True)
class Noted:
    """`noted(p)`: a value that can be read after a forward, beside those of gates."""

    prefix: str

    def of(self, graph: Graph, value: Node) -> Node:
        return call(graph, noted, value, _gates(graph), self.prefix, axes=axes(value))


def _gates(graph: Graph) -> Node:
    for node in graph.find_nodes(op="get_attr"):
        if node.target == GATES:
            return node
    node = graph.create_node("get_attr", GATES)
    node.meta.update(val=Gates(), axes=())
    return node


def through(graph: Graph, gate: Node, before: Node, after: Node) -> Node:
    """`before + gate * (after - before)`: what the gate lets through of a change."""
    change = call(graph, torch.sub, after, before, axes=axes(before))
    share = call(graph, torch.mul, change, gate, axes=axes(before))
    return call(graph, torch.add, before, share, axes=axes(before))


def of_prefix(graph: Graph, gate: Node, prefix: Node) -> Node:
    """Keys or values that a method extends a sequence by, behind its gate."""
    return call(graph, gated_rows, prefix, gate)
