"""How a pass rewrites a graph: a local rule, tried at every node until it applies nowhere."""

from collections.abc import Callable
from typing import Protocol, TypeGuard

from torch import Tensor
from torch.fx import Graph, Node
from torch.fx.node import map_arg

from ..ops import shape

Rule = Callable[[Graph, Node], Node | None]
"""Writes the replacement of a node before it and returns it, or None where the rule does not apply.
"""


class Pass(Protocol):
    """A rewrite of patch graphs, in place: it returns the graph that it is given. Its docstring
    shows before --> after; what the graph computes stays the same.
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


def renamed(graph: Graph) -> Graph:
    """The same graph with names that count from nothing, whatever has come and gone in it."""
    fresh = Graph()
    copies: dict[Node, Node] = {}
    for node in graph.nodes:
        args, kwargs = (map_arg(part, copies.__getitem__) for part in (node.args, node.kwargs))
        copies[node] = fresh.create_node(node.op, node.target, args, kwargs)  # pyright: ignore[reportArgumentType]
        copies[node].meta = dict(node.meta)
    return fresh


def everywhere(graph: Graph, rule: Rule) -> Graph:
    """A graph with a rule applied until nothing changes; replaced nodes that nobody uses go."""
    changed = True
    while changed:
        changed = any([_try(graph, node, rule) for node in list(graph.nodes)])  # noqa: C419  # all are tried
    graph.eliminate_dead_code(is_impure_node=is_port)
    return graph


def is_port(node: Node) -> bool:
    """Ports stay even where the patch does not read them."""
    return node.op in {"placeholder", "output"}


def _try(graph: Graph, first: Node, rule: Rule) -> bool:
    """Apply a rule to a node, and to those that it writes; whether it applied at all."""
    waiting, changed = [first], False
    while waiting:
        node = waiting.pop()
        if node.op != "call_function" or not node.users:
            continue
        before = node.prev
        with graph.inserting_before(node):
            replacement = rule(graph, node)
        if replacement is None:
            continue
        written = node.prev
        while written is not before:
            waiting.append(written)
            written = written.prev
        node.replace_all_uses_with(replacement)
        graph.erase_node(node)
        changed = True
    return changed


def is_call(node: object, *functions: Callable[..., object]) -> TypeGuard[Node]:
    """A call of one of these functions."""
    return isinstance(node, Node) and node.op == "call_function" and node.target in functions


def is_matrix(node: object) -> TypeGuard[Node]:
    """A value with two axes."""
    if not isinstance(node, Node) or not isinstance(node.meta["val"], Tensor):
        return False
    return len(shape(node)) == 2


def is_weight(node: object) -> TypeGuard[Node]:
    """The base weight of the site as [out, in]."""
    return isinstance(node, Node) and node.meta.get("port") == "W"


def is_biased(weight: Node) -> bool:
    """Whether the base adds a bias to the product with its weight."""
    return bool(weight.meta["biased"])


def is_bias(node: object) -> bool:
    """The base bias of the site."""
    return isinstance(node, Node) and node.meta.get("port") == "b"
