"""Costs: what a method adds to each token that passes its site."""

from dataclasses import dataclass
from math import prod

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ...runtime.attention import attended
from ..lower import AttentionFacts, Facts, LinearFacts, TokenFacts
from ..ops import BASE, CREATORS, STRUCTURED, TOKENS, shape
from ..passes.fuse_addmm import addmm_rows


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
    return Costs(seen + work // TOKENS - _spared(facts, fast), keys)


def _spared(facts: Facts, fast: Graph) -> int:
    """The multiplications of a base map that does not run: another one stands for it."""
    if not isinstance(facts, LinearFacts) or any(n.target == BASE for n in fast.nodes):
        return 0
    return facts.inputs * facts.outputs


def _extra(graph: Graph) -> int:
    """How many keys the attention product is given before those of the text."""
    base = next(node for node in graph.find_nodes(op="call_module") if node.target == BASE)
    return base.args[3]  # pyright: ignore[reportReturnType]


def _reached(graph: Graph) -> set[Node]:
    """What depends on the call: all else is computed once, however many tokens there are."""
    found: set[Node] = set()
    for node in graph.nodes:
        if node.op == "placeholder" or any(source in found for source in _read(node)):
            found.add(node)
    return found


def _read(node: Node) -> list[Node]:
    return [] if node.target in CREATORS else node.all_input_nodes


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
        case torch.einsum:
            return _einsum(*node.args)  # pyright: ignore[reportArgumentType]
        case _ if node.target in STRUCTURED:
            return shape(node)[0] * STRUCTURED[node.target](*(shape(n) for n in node.args[1:]))  # pyright: ignore[reportArgumentType]
        case _ if node.target is attended:
            return 2 * size * shape(node.args[1])[-3]  # pyright: ignore[reportArgumentType]
        case _:
            return 0


def _einsum(pattern: str, *operands: Node) -> int:
    """The product of the sizes of all axes; what `...` stands for counts by its tokens."""
    sizes: dict[str, int] = {}
    for letters, operand in zip(pattern.partition("->")[0].split(","), operands, strict=True):
        names = letters.replace("...", ".")
        extents = shape(operand)
        if "." in names:
            sizes["."] = prod(extents[: len(extents) - len(names) + 1])
        named = [letter for letter in names if letter != "."]
        sizes.update(zip(reversed(named), reversed(extents), strict=False))
    return prod(sizes.values())
