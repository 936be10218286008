"""The patch of a site: its formulas, literally, and its graphs for other purposes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from torch.fx import Graph, Node
from torch.fx.node import map_arg

from .method import (
    Attached,
    AttentionFacts,
    BlockFacts,
    Declared,
    Facts,
    LeafFacts,
    LinearFacts,
    Member,
    TokenFacts,
)
from .sites import (
    attention_extension,
    attention_initial,
    attention_patch,
    block_initial,
    block_patch,
    leaf_initial,
    leaf_patch,
    linear_initial,
    linear_patch,
    token_extension,
    token_initial,
    token_patch,
)


def plain_patch(facts: Facts, members: tuple[Member, ...], *, initial: bool = False) -> Graph:
    """What a site gives with its methods: the meaning that every faster patch must keep.

    With `initial`, tensors that start with a symbolic value are replaced by it. Raises SpecError
    where a formula does not fit the site.
    """
    match facts:
        case LinearFacts():
            graph = linear_patch(facts, members, initial=initial)
        case BlockFacts():
            graph = block_patch(facts, members, initial=initial)
        case AttentionFacts():
            graph = attention_patch(facts, members, initial=initial)
        case TokenFacts():
            graph = token_patch(facts, members, initial=initial)
        case LeafFacts():
            graph = leaf_patch(facts, members, initial=initial)
        case _:
            assert_never(facts)
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op in {"placeholder", "output"})
    return graph


def initial_value(facts: Facts, members: tuple[Member, ...], tensor: Declared) -> Graph:
    """A graph that computes the symbolic initial value of a tensor of the last member."""
    match facts:
        case LinearFacts():
            graph, value = linear_initial(facts, members, tensor)
        case BlockFacts():
            graph, value = block_initial(facts, members, tensor)
        case AttentionFacts():
            graph, value = attention_initial(facts, members, tensor)
        case TokenFacts():
            graph, value = token_initial(facts, members, tensor)
        case LeafFacts():
            graph, value = leaf_initial(facts, members, tensor)
        case _:
            assert_never(facts)
    graph.output(value)
    graph.eliminate_dead_code(is_impure_node=lambda node: node.op == "output")
    return graph


def extension_values(facts: Facts, member: Member) -> Graph:
    """A graph that computes what a method extends keys, values or tokens by."""
    match facts:
        case AttentionFacts():
            return attention_extension(facts, member)
        case TokenFacts():
            return token_extension(facts, member)
        case _:
            raise AssertionError("linear maps and blocks have no sequence to extend")


def loss_value(member: Member, number: int) -> Graph:
    """A graph that computes one term that a method adds to the loss."""
    graph = Graph()
    attached = Attached(graph, member, initial_values=False)
    graph.output(attached.formula().write(member.method.losses[number]))  # pyright: ignore[reportArgumentType]
    return graph


@dataclass(frozen=True, slots=True)
class Site:
    """What a patch graph reads while it runs outside of a module."""

    tensor: Callable[[str], object]
    """The value of a path from the site's module, `weight` or `lora.A`."""
    module: Callable[[str], Callable[..., object]]
    """What stands behind the name of a call, `base_forward` or `pefc_k`."""


def run(graph: Graph, site: Site, *inputs: object) -> object:
    """Evaluate a patch graph, node by node; a value goes when nothing reads it any more."""
    values: dict[Node, object] = {}
    last = {read: node for node in graph.nodes for read in node.all_input_nodes}
    ports = iter(inputs)

    def known(argument: object) -> object:
        return map_arg(argument, lambda node: values[node])  # pyright: ignore[reportArgumentType]

    for node in graph.nodes:
        match node.op:
            case "placeholder":
                values[node] = next(ports, None)
            case "get_attr":
                values[node] = site.tensor(str(node.target))
            case "call_module":
                values[node] = site.module(str(node.target))(*known(node.args))  # pyright: ignore[reportGeneralTypeIssues]
            case "call_function":
                values[node] = node.target(*known(node.args), **known(node.kwargs))  # pyright: ignore[reportCallIssue]
            case _:
                return known(node.args[0])
        for read in node.all_input_nodes:
            if last[read] is node:
                del values[read]
    raise AssertionError("a graph ends in its output")
