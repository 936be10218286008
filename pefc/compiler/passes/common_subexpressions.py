"""Equal computations are done once."""

from dataclasses import dataclass

from torch.fx import Graph, Node
from torch.nn import functional

from .rewriter import is_port


@dataclass(frozen=True, slots=True)
class Share:
    """`f(a) + f(a) --> t + t` with `t = f(a)`; dropout, which is random, is left alone."""

    name: str = "share"

    def __call__(self, graph: Graph) -> Graph:
        seen: dict[object, Node] = {}
        for node in list(graph.nodes):
            if is_port(node) or node.target is functional.dropout:
                continue
            key = (node.op, node.target, _frozen(node.args), _frozen(node.kwargs))
            first = seen.setdefault(key, node)
            if first is not node:
                node.replace_all_uses_with(first)
                graph.erase_node(node)
        return graph


def _frozen(value: object) -> object:
    if isinstance(value, tuple | list):
        return tuple(_frozen(item) for item in value)
    if isinstance(value, dict):
        return tuple((key, _frozen(item)) for key, item in sorted(value.items()))
    if isinstance(value, slice):
        return ("slice", _frozen(value.start), _frozen(value.stop), _frozen(value.step))
    return (type(value), value)
