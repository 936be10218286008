"""Costs: what a method adds to each token that passes its site."""

from dataclasses import dataclass
from math import prod

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..runtime.attention import attended
from .lower import AttentionFacts, Facts, TokenFacts
from .lower.nodes import BASE, TOKENS, shape
from .passes.fuse import addmm_rows


@dataclass(frozen=True, slots=True)
class Costs:
    """What is added at one site."""

    operations: int
    """Multiplications a token, beside those of the model itself."""
    keys: int = 0
    """Keys that every query sees besides those of the text; they are in no cache."""
    tokens: int = 0
    """Tokens that stand before the text, in every layer and in its cache."""


def costs(facts: Facts, fast: Graph) -> Costs:
    """The costs of a fast patch."""
    if isinstance(facts, TokenFacts):
        return Costs(0, tokens=shape(fast.output_node().args[0])[0])  # pyright: ignore[reportArgumentType]
    keys = _extra(fast) if isinstance(facts, AttentionFacts) else 0
    seen = 2 * facts.heads * facts.head_dim * keys if isinstance(facts, AttentionFacts) else 0
    reached = _reached(fast)
    work = sum(_products(node) for node in fast.nodes if node in reached)
    return Costs(seen + work // TOKENS, keys)


def _extra(graph: Graph) -> int:
    """How many keys the attention product is given before those of the text."""
    base = next(node for node in graph.find_nodes(op="call_module") if node.target == BASE)
    return base.args[3]  # pyright: ignore[reportReturnType]


def _reached(graph: Graph) -> set[Node]:
    """What depends on the call: all else is computed once, however many tokens there are."""
    found: set[Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or any(source in found for source in node.all_input_nodes):
            found.add(node)
    return found


def _products(node: Node) -> int:
    """The multiplications of the matrix products of one node."""
    if node.op != "call_function" or not isinstance(node.meta["val"], torch.Tensor):
        return 0
    size = prod(shape(node))
    match node.target:
        case functional.linear:
            return size * shape(node.args[1])[-1]  # pyright: ignore[reportArgumentType]
        case torch.matmul:
            return size * shape(node.args[0])[-1]  # pyright: ignore[reportArgumentType]
        case _ if node.target is addmm_rows:
            return size * shape(node.args[1])[-1]  # pyright: ignore[reportArgumentType]
        case _ if node.target is attended:
            return 2 * size * shape(node.args[1])[-3]  # pyright: ignore[reportArgumentType]
        case _:
            return 0
