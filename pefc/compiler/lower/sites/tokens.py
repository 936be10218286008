"""All methods on the tokens of a model, in their order: the embeddings that stand before those of
the text.
"""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from ....dsl.diagnostics.compiling import FormulaFailed, NotLowered
from ....dsl.diagnostics.report import SpecError
from ...ops import annotated, call, shape, shown
from ..method import Attached, Declared, Member, TokenFacts

EMBED = "pefc_embed"
"""The name under which an initial value asks for the embedding of a text."""


def token_patch(facts: TokenFacts, members: tuple[Member, ...], *, initial: bool) -> Graph:
    """The new embeddings [n, d], those of the first method first.

    Raises SpecError where a formula does not fit the site.
    """
    graph = Graph()
    found: list[Node] = []
    for member in members:
        attached = _attached(graph, facts, member, initial=initial)
        for rule in member.method.rules:
            raise SpecError([NotLowered(rule.span, "a rule on tokens")])
        for extend in member.method.extends:
            value = attached.formula().write(extend.values[0])
            if not isinstance(value, Node) or shape(value)[1:] != (facts.width,):
                was = shown(value) if isinstance(value, Node) else "a number"
                reason = f"it is {was} where tokens take [len, {facts.width}]"
                raise SpecError([FormulaFailed(extend.values[0].span, reason)])
            found.append(value)
    graph.output(found[0] if len(found) == 1 else call(graph, torch.cat, found) if found else None)
    return graph


def token_initial(
    facts: TokenFacts, members: tuple[Member, ...], tensor: Declared
) -> tuple[Graph, Node]:
    """The symbolic initial value of a tensor of the last member."""
    graph = Graph()
    attached = _attached(graph, facts, members[-1], initial=False)
    return graph, attached.initial(tensor)


def token_extension(facts: TokenFacts, member: Member) -> Graph:
    """What a method extends the tokens by."""
    graph = Graph()
    formula = _attached(graph, facts, member, initial=False).formula()
    values = tuple(formula.write(v) for extend in member.method.extends for v in extend.values)
    graph.output(values)  # pyright: ignore[reportArgumentType]
    return graph


def _attached(graph: Graph, facts: TokenFacts, member: Member, *, initial: bool) -> Attached:
    return Attached(graph, member, initial, calls={"embed": _Embed(facts)})


@dataclass(frozen=True, slots=True)
class _Embed:
    """`embed(text, len)`: the embeddings of a text, cut or repeated to a length."""

    facts: TokenFacts

    def of(self, graph: Graph, text: object, length: object) -> Node:
        node = graph.create_node("call_module", EMBED, (text, length))  # pyright: ignore[reportArgumentType]
        value = torch.empty((int(length), self.facts.width), device="meta")  # pyright: ignore[reportArgumentType]
        return annotated(node, value, (None, "d"))
