"""The patch of a linear module: its formula, literally, and its graphs for other purposes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.fx import Graph, Node
from torch.fx.node import map_arg

from .compose import LinearFacts, Member, compose, input_port
from .nodes import TOKENS


def plain_patch(facts: LinearFacts, members: tuple[Member, ...], *, initial: bool = False) -> Graph:
    """y of x with the methods of a module: the meaning that every faster patch must keep.

    With `initial`, tensors that start with a symbolic value are replaced by it.
    """
    composition = compose(facts, members, initial=initial)
    first = next(iter(composition.graph.nodes))
    with composition.graph.inserting_before(first):
        x = input_port(composition.graph, facts, TOKENS)
    composition.graph.output(composition.whole.call(x))
    composition.graph.eliminate_dead_code(
        is_impure_node=lambda node: node.op in {"placeholder", "output"}
    )
    return composition.graph


def merged_parameters(facts: LinearFacts, members: tuple[Member, ...]) -> Graph:
    """The weight [out, in] and bias of the affine map that a module with its methods is."""
    composition = compose(facts, members)
    composition.graph.output((composition.whole.weight(), composition.whole.bias()))
    composition.graph.eliminate_dead_code()
    return composition.graph


@dataclass(frozen=True, slots=True)
class Site:
    """What a patch graph reads while it runs outside of a module."""

    tensor: Callable[[str], object]
    """The value of a path from the site's module, `weight` or `lora.A`."""
    base: Callable[[torch.Tensor], torch.Tensor] | None = None


def run(graph: Graph, site: Site, *inputs: torch.Tensor) -> object:
    """Evaluate a patch graph, node by node."""
    values: dict[Node, object] = {}
    ports = iter(inputs)

    def known(argument: object) -> object:
        return map_arg(argument, lambda node: values[node])  # pyright: ignore[reportArgumentType]

    for node in graph.nodes:
        match node.op:
            case "placeholder":
                values[node] = next(ports)
            case "get_attr":
                values[node] = site.tensor(str(node.target))
            case "call_module":
                assert site.base is not None
                values[node] = site.base(*known(node.args))  # pyright: ignore[reportGeneralTypeIssues]
            case "call_function":
                values[node] = node.target(*known(node.args), **known(node.kwargs))  # pyright: ignore[reportCallIssue]
            case _:
                return known(node.args[0])
    raise AssertionError("a graph ends in its output")
