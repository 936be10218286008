"""All methods of a block, in their order: a new y from y, x and the residual stream."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from ....dsl import syntax
from ....dsl.diagnostics.compiling import NotLowered
from ....dsl.diagnostics.report import SpecError
from ....runtime.calls import first_positions, last_positions
from ...ops import TOKEN_AXIS, TOKENS, call, module_call, placeholder
from ..method import Attached, BlockFacts, Declared, Member, Noted, Port, gate, through

NORM = "pefc_norm"
"""The name under which a patch calls the norm that reads y + residual."""
PRESENT = "present"
"""The port that says where tokens of a text's first part stand, [tokens]."""


@dataclass(frozen=True, slots=True)
class _Ports:
    """What a block is given: the module's output, its input, the stream that it is added to."""

    graph: Graph
    y: Node
    x: Node
    residual: Node
    present: Node


def block_patch(facts: BlockFacts, members: tuple[Member, ...], *, initial: bool) -> Graph:
    """y with the methods of a block.

    Raises SpecError where a formula does not fit the site.
    """
    ports = _ports(facts)
    y = ports.y
    for member in members:
        y = _changed(facts, ports, member, y, initial=initial)
    ports.graph.output(y)
    return ports.graph


def _changed(
    facts: BlockFacts, ports: _Ports, member: Member, before: Node, *, initial: bool
) -> Node:
    """y with one method more, or with what its gate lets through of it."""
    attached = _attached(facts, ports, member, initial=initial)
    y, read = before, set[str]()
    for rule in member.method.rules:
        y = _output(attached, ports, rule, y, read)
    if not member.gated:
        return y
    value = gate(attached, before if "y" in read else ports.x)
    return through(ports.graph, value, before, y)


def block_initial(
    facts: BlockFacts, members: tuple[Member, ...], tensor: Declared
) -> tuple[Graph, Node]:
    """The symbolic initial value of a tensor of the last member."""
    ports = _ports(facts)
    attached = _attached(facts, ports, members[-1], initial=False)
    return ports.graph, attached.initial(tensor)


def _ports(facts: BlockFacts) -> _Ports:
    graph = Graph()
    size, names = (TOKENS, facts.width), (TOKEN_AXIS, "d")
    y, x, residual = (placeholder(graph, name, size, names) for name in ("y", "x", "residual"))
    present = placeholder(graph, PRESENT, size[:1], names[:1])
    present.meta["val"] = present.meta["val"].bool()
    return _Ports(graph, y, x, residual, present)


def _attached(facts: BlockFacts, ports: _Ports, member: Member, *, initial: bool) -> Attached:
    values: Mapping[str, Port] = {
        "x": lambda: ports.x,
        "y": lambda: ports.y,
        "residual": lambda: ports.residual,
    }
    calls = {
        "norm": _Norm(facts),
        "change": _Change(facts, ports, dict(member.parts), initial),
        "noted": Noted(member.prefix),
    }
    return Attached(ports.graph, member, initial, values, calls, like=lambda: ports.y)


@dataclass(frozen=True, slots=True)
class _Change:
    """`change(m)`: the block with the methods of a task, less the block without them."""

    facts: BlockFacts
    ports: _Ports
    parts: Mapping[str, tuple[Member, ...]]
    initial: bool

    def of(self, graph: Graph, task: str) -> Node:
        y = self.ports.y
        for member in self.parts[task]:
            y = _changed(self.facts, self.ports, member, y, initial=self.initial)
        return call(graph, torch.sub, y, self.ports.y, axes=(TOKEN_AXIS, "d"))


@dataclass(frozen=True, slots=True)
class _Norm:
    """The block's own norm: that of y + residual where the block has one, else nothing."""

    facts: BlockFacts

    def of(self, graph: Graph, value: Node) -> Node:
        return module_call(graph, NORM, value, self.facts.width) if self.facts.normed else value


def _output(attached: Attached, ports: _Ports, rule: syntax.Rule, y: Node, read: set[str]) -> Node:
    """y after a rule. Which of y and x its formula reads is noted in `read`; names that it decides
    against, as in `y if form == sequential else x`, are not.
    """
    if rule.target != "output":
        raise SpecError([NotLowered(rule.span, f"`{rule.target}` of a block")])
    probability = attached.probability(rule)
    if probability and rule.operator not in {"+=", "-="}:
        raise SpecError([NotLowered(rule.span, "dropout over an output that is replaced")])

    def dropped(name: str, value: Node) -> Port:
        def port() -> Node:
            read.add(name)
            return attached.dropped(value, probability)

        return port

    current: dict[str, Port] = {"y": dropped("y", y), "x": dropped("x", ports.x)}
    value = attached.formula(**current).write(rule.value)
    changed = attached.updated(rule, value, y)
    if rule.where is None:
        return changed
    where = _positions(attached, ports, rule.where)
    return call(ports.graph, torch.where, where, changed, y, axes=(TOKEN_AXIS, "d"))


_POSITIONS: Mapping[str, Callable[..., object]] = {
    "first": first_positions,
    "last": last_positions,
}
_JOINED: Mapping[str, Callable[..., object]] = {"and": torch.logical_and, "or": torch.logical_or}


def _positions(attached: Attached, ports: _Ports, where: syntax.Expression) -> Node:
    """Which positions are meant, [tokens, 1]."""
    graph, names = ports.graph, (TOKEN_AXIS, None)
    match where:
        case syntax.Unary("not", operand):
            chosen = _positions(attached, ports, operand)
            return call(graph, torch.logical_not, chosen, axes=names)
        case syntax.Binary(("and" | "or") as sign, left, right):
            sides = (_positions(attached, ports, side) for side in (left, right))
            return call(graph, _JOINED[sign], *sides, axes=names)
        case syntax.Call(syntax.Name(name), (count,)) if name in _POSITIONS:
            number = attached.formula().write(count.value)
            return call(graph, _POSITIONS[name], ports.present, number, axes=names)
        case _:
            raise SpecError([NotLowered(where.span, "these positions")])
