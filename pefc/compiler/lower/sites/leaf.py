"""A module that runs its own forward with other parameters than its own."""

from collections.abc import Iterator

from torch.fx import Graph, Node

from ...ops import BASE, TOKEN_AXIS, TOKENS, annotated, attribute, placeholder
from ..method import Attached, Declared, LeafFacts, Member


def leaf_patch(facts: LeafFacts, members: tuple[Member, ...], *, initial: bool) -> Graph:
    """`base(weight, bias)`: what the module gives with these parameters."""
    graph = Graph()
    placeholder(graph, "x", (TOKENS, 1), (TOKEN_AXIS, None))
    values = dict(_own(graph, facts))
    for member in members:
        for tensor in member.method.tensors:
            attached = _attached(graph, member, values[tensor.name], initial=initial)
            values[tensor.name] = attached.tensor(tensor.name)
    y = graph.create_node("call_module", BASE, tuple(values.values()))
    graph.output(annotated(y, None, None))
    return graph


def leaf_initial(
    facts: LeafFacts, members: tuple[Member, ...], tensor: Declared
) -> tuple[Graph, Node]:
    """The symbolic initial value of a tensor of the last member."""
    graph = Graph()
    own = dict(_own(graph, facts))[tensor.name]
    return graph, _attached(graph, members[-1], own, initial=False).initial(tensor)


def _own(graph: Graph, facts: LeafFacts) -> Iterator[tuple[str, Node]]:
    for name, shape in facts.parameters:
        yield name, attribute(graph, name, shape, (None,) * len(shape))


def _attached(graph: Graph, member: Member, own: Node, *, initial: bool) -> Attached:
    return Attached(graph, member, initial, {"W": lambda: own})
