"""All methods of an attention, in their order: new keys and values before the product, a new
context after it.
"""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from ....dsl import syntax
from ....dsl.diagnostics.compiling import FormulaFailed, NotLowered
from ....dsl.diagnostics.report import SpecError
from ....runtime.attention import attended, extended
from ...ops import (
    TOKEN_AXIS,
    TOKENS,
    attention_call,
    axes,
    call,
    constant_port,
    module_call,
    placeholder,
    shape,
    shown,
)
from ..method import (
    Attached,
    AttentionFacts,
    Declared,
    MapFacts,
    Member,
    Port,
    gate,
    of_prefix,
    through,
)

SCALE = "scale"
"""The port of the factor by which the attention multiplies its scores."""
_SEQUENCE = (None, "kv_heads", None, "head_dim")
_CONTEXT = (None, None, "heads", "head_dim")


def projection(name: str) -> str:
    """The name under which a patch calls a projection of the attention."""
    return f"pefc_{name}"


@dataclass(slots=True)
class _State:
    """The values of the ports, as far as rules have changed them."""

    graph: Graph
    q: Node
    sequences: dict[str, Node]
    """`keys` and `values`."""
    x: Node
    scale: Node
    extra: int = 0
    """How many keys stand before those of the text."""


def attention_patch(facts: AttentionFacts, members: tuple[Member, ...], *, initial: bool) -> Graph:
    """The context with the methods of an attention.

    Raises SpecError where a formula does not fit the site.
    """
    state = _state(facts)
    for member in members:
        attached = _attached(facts, state, member, initial=initial)
        for rule in member.method.rules:
            if rule.target in state.sequences:
                _sequence(attached, state, rule)
        for extend in member.method.extends:
            _extend(attached, state, extend)
    context = _base(state, facts)
    for member in members:
        attached = _attached(facts, state, member, initial=initial)
        before = context
        for rule in member.method.rules:
            if rule.target not in state.sequences:
                context = _context(attached, rule, context)
        if member.gated and context is not before:
            value = call(state.graph, torch.unsqueeze, gate(attached, state.x), -1)
            context = through(state.graph, value, before, context)
    state.graph.output(context)
    return state.graph


def attention_initial(
    facts: AttentionFacts, members: tuple[Member, ...], tensor: Declared
) -> tuple[Graph, Node]:
    """The symbolic initial value of a tensor of the last member."""
    state = _state(facts)
    attached = _attached(facts, state, members[-1], initial=False)
    return state.graph, attached.initial(tensor)


def attention_extension(facts: AttentionFacts, member: Member) -> Graph:
    """What a method extends keys and values by, in the order in which it names them."""
    state = _state(facts)
    formula = _attached(facts, state, member, initial=False).formula()
    values = tuple(formula.write(v) for extend in member.method.extends for v in extend.values)
    state.graph.output(values)  # pyright: ignore[reportArgumentType]
    state.graph.eliminate_dead_code(is_impure_node=lambda node: node.op == "output")
    return state.graph


def _state(facts: AttentionFacts) -> _State:
    graph = Graph()
    queries = (1, facts.heads, TOKENS, facts.head_dim)
    keys = (1, facts.kv_heads, TOKENS, facts.head_dim)
    q = placeholder(graph, "q", queries, (None, "heads", None, "head_dim"))
    sequences = {name: placeholder(graph, name, keys, _SEQUENCE) for name in ("keys", "values")}
    x = placeholder(graph, "x", (TOKENS, facts.width), (TOKEN_AXIS, "d"))
    return _State(graph, q, sequences, x, constant_port(graph, SCALE, 1.0))


def _attached(facts: AttentionFacts, state: _State, member: Member, *, initial: bool) -> Attached:
    ports: dict[str, Port] = {
        "q": lambda: state.q,
        "keys": lambda: state.sequences["keys"],
        "values": lambda: state.sequences["values"],
        "x": lambda: state.x,
    }
    calls = {each.name: _Projected(each) for each in facts.maps}
    return Attached(
        state.graph,
        member,
        initial,
        ports,
        {**calls, "attend": _Attend(facts, state.scale)},
        like=lambda: state.q,
    )


@dataclass(frozen=True, slots=True)
class _Projected:
    """`k(P)`: a projection of the attention as it stands, with whatever is attached to it."""

    facts: MapFacts

    def of(self, graph: Graph, value: Node) -> Node:
        result = module_call(graph, projection(self.facts.name), value, self.facts.outputs)
        if self.facts.rows is None:
            return result
        parts = [
            call(graph, torch.narrow, result, -1, start, stop - start)
            for start, stop in self.facts.rows
        ]
        return parts[0] if len(parts) == 1 else call(graph, torch.cat, parts, -1)


@dataclass(frozen=True, slots=True)
class _Attend:
    """`attend(q, k, v)`: a softmax attention of its own, without a mask."""

    facts: AttentionFacts
    scale: Node

    def of(self, graph: Graph, *operands: Node) -> Node:
        q, k, v = operands
        keys, values = (self._by_head(graph, sequence) for sequence in (k, v))
        return call(graph, attended, q, keys, values, self.scale, axes=_CONTEXT)

    def _by_head(self, graph: Graph, sequence: Node) -> Node:
        """[len, kv_heads * head_dim] as [len, kv_heads, head_dim]."""
        heads = (self.facts.kv_heads, self.facts.head_dim)
        if len(shape(sequence)) != 2:
            return sequence
        return call(graph, torch.unflatten, sequence, -1, heads)


def _sequence(attached: Attached, state: _State, rule: syntax.Rule) -> None:
    """`keys *= l`, `values += e`."""
    value = attached.formula().write(rule.value)
    state.sequences[rule.target] = attached.updated(rule, value, state.sequences[rule.target])


def _extend(attached: Attached, state: _State, extend: syntax.Extend) -> None:
    """`extend keys, values by K, V`: both, and by as many."""
    lengths: list[int] = []
    for target, expression in zip(extend.targets, extend.values, strict=True):
        value = attached.formula().write(expression)
        sequence = state.sequences[target]
        heads = (shape(sequence)[1], shape(sequence)[3])
        if not isinstance(value, Node) or shape(value)[-2:] != heads or len(shape(value)) < 3:
            found = shown(value) if isinstance(value, Node) else "a number"
            reason = f"it is {found} where {target} take [len, {heads[0]}, {heads[1]}]"
            raise SpecError([FormulaFailed(expression.span, reason)])
        lengths.append(shape(value)[-3])
        if attached.member.gated:
            value = of_prefix(state.graph, gate(attached, state.x), value)
        longer = call(state.graph, extended, sequence, value, axes=axes(sequence))
        state.sequences[target] = longer
    if sorted(extend.targets) != ["keys", "values"] or len(set(lengths)) > 1:
        reason = "keys and values are extended together, by equally many"
        raise SpecError([FormulaFailed(extend.span, reason)])
    state.extra += lengths[0]


def _context(attached: Attached, rule: syntax.Rule, context: Node) -> Node:
    if rule.target != "context" or rule.where is not None:
        raise SpecError([NotLowered(rule.span, "this rule on an attention")])
    value = attached.formula(context=lambda: context).write(rule.value)
    return attached.updated(rule, value, context)


def _base(state: _State, facts: AttentionFacts) -> Node:
    size = (1, TOKENS, facts.heads, facts.head_dim)
    operands = (state.q, state.sequences["keys"], state.sequences["values"], state.extra)
    return attention_call(state.graph, operands, size, _CONTEXT)
