"""The flow of a tape: its linear maps, its attention products and its residual stream."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..tape import Node, Tape
from .attention_products import Attention, find_attentions
from .linear_maps import Map, find_maps

_CARRIERS = frozenset("_to_copy clone alias detach view _unsafe_view reshape".split())


@dataclass(frozen=True, slots=True)
class Join:
    """Where a residual branch is added back to the stream that it left."""

    node: int
    stream: int
    branch: int
    scope: str


@dataclass(frozen=True, slots=True)
class Frontier:
    """The nearest things before a node: maps, attention products, places of the stream."""

    maps: frozenset[int]
    contexts: frozenset[int]
    stream: frozenset[int]


@dataclass(frozen=True, slots=True)
class Flow:
    """What the analyses of roles share."""

    tape: Tape
    maps: Mapping[int, Map]
    attentions: tuple[Attention, ...]
    joins: tuple[Join, ...]
    stream: frozenset[int]
    """The joins, and what they add to."""

    @property
    def contexts(self) -> frozenset[int]:
        return frozenset(attention.context for attention in self.attentions)

    def is_border(self, node: Node) -> bool:
        """A walk backwards from a map or an operand ends here."""
        return node.index in self.maps or node.index in self.stream or node.index in self.contexts

    def frontier(self, start: int) -> Frontier:
        """What reaches a node without passing a map, an attention product or the stream."""
        contexts = self.contexts
        borders = self.maps.keys() | contexts | self.stream
        pending, seen = [start], {start}
        while pending:
            index = pending.pop()
            if index in borders:
                continue
            fresh = [source for source in self.tape.nodes[index].inputs if source not in seen]
            seen.update(fresh)
            pending.extend(fresh)
        return Frontier(
            frozenset(seen & self.maps.keys()),
            frozenset(seen & contexts),
            frozenset(seen & self.stream),
        )


def find_flow(tape: Tape) -> Flow:
    """Find maps, attention products and residual branches."""
    maps = find_maps(tape)
    attentions = find_attentions(tape, maps)
    work = 0
    for index in (*maps, *(attention.context for attention in attentions)):
        work |= 1 << index
    joins = tuple(_joins(tape, work))
    stream = frozenset(index for join in joins for index in (join.node, join.stream))
    return Flow(tape, maps, attentions, joins, stream)


def _joins(tape: Tape, work: int) -> Iterator[Join]:
    """Additions of a tensor and of what maps made of it, or of the stream further up."""
    origins: dict[int, tuple[int, ...]] = {}
    for node in tape.nodes:
        origins[node.index] = (node.index,)
        if node.kind in _CARRIERS and len(node.inputs) == 1:
            origins[node.index] += origins[node.inputs[0]]
        if (join := _as_join(tape, node, origins, work)) is not None:
            origins[node.index] += origins[join.stream]
            yield join


def _as_join(
    tape: Tape, node: Node, origins: Mapping[int, tuple[int, ...]], work: int
) -> Join | None:
    if node.kind != "add" or len(node.inputs) != 2 or not node.floating or len(node.shape) < 2:
        return None
    if any(tape.nodes[source].shape != node.shape for source in node.inputs):
        return None
    left, right = node.inputs
    for stream, branch in ((left, right), (right, left)):
        if any(_works_between(tape, origin, branch, work) for origin in origins[stream]):
            return Join(node.index, stream, branch, node.scope)
    return None


def _works_between(tape: Tape, origin: int, branch: int, work: int) -> bool:
    """The branch depends on the origin through a map or an attention product."""
    if origin == branch or not tape.reaches(origin, branch):
        return False
    candidates = tape.ancestors[branch] & work & ~((1 << origin + 1) - 1)
    while candidates:
        lowest = candidates & -candidates
        if tape.reaches(origin, lowest.bit_length() - 1):
            return True
        candidates ^= lowest
    return False
