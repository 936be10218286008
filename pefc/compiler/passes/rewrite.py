"""How a pass rewrites a graph: a local rule, tried at every node until it applies nowhere."""

from collections.abc import Callable
from typing import Protocol, TypeGuard

from torch.fx import Graph, Node

from ..lower.nodes import shape

Rule = Callable[[Graph, Node], Node | None]
"""Writes the replacement of a node before it and returns it, or None where the rule does not apply.
"""


class Pass(Protocol):
    """A rewrite of patch graphs. Its docstring shows before --> after; what the graph computes
    stays the same.
    """

    @property
    def name(self) -> str: ...

    def __call__(self, graph: Graph) -> Graph: ...


def copied(graph: Graph) -> Graph:
    """The same graph, made of nodes of its own."""
    fresh = Graph()
    result = fresh.graph_copy(graph, {})
    fresh.output(result)
    return fresh


def everywhere(graph: Graph, rule: Rule) -> Graph:
    """A copy of a graph with a rule applied until nothing changes; replaced nodes that nobody uses
    go.
    """
    fresh = copied(graph)
    changed = True
    while changed:
        changed = any([_try(fresh, node, rule) for node in list(fresh.nodes)])  # noqa: C419  # all are tried
    fresh.eliminate_dead_code(is_impure_node=is_port)
    return fresh


def is_port(node: Node) -> bool:
    """Ports stay even where the patch does not read them."""
    return node.op in {"placeholder", "output"}


def _try(graph: Graph, node: Node, rule: Rule) -> bool:
    if node.op != "call_function" or not node.users:
        return False
    with graph.inserting_before(node):
        replacement = rule(graph, node)
    if replacement is None:
        return False
    node.replace_all_uses_with(replacement)
    graph.erase_node(node)
    return True


def is_call(node: object, *functions: Callable[..., object]) -> TypeGuard[Node]:
    """A call of one of these functions."""
    return isinstance(node, Node) and node.op == "call_function" and node.target in functions


def is_matrix(node: object) -> TypeGuard[Node]:
    """A value with two axes."""
    return isinstance(node, Node) and len(shape(node)) == 2


def is_weight(node: object) -> TypeGuard[Node]:
    """The base weight of the site as [out, in]."""
    return isinstance(node, Node) and node.meta.get("port") == "W"


def is_biased(weight: Node) -> bool:
    """Whether the base adds a bias to the product with its weight."""
    return bool(weight.meta["biased"])


def is_bias(node: object) -> bool:
    """The base bias of the site."""
    return isinstance(node, Node) and node.meta.get("port") == "b"
