"""Sublayers: the residual branches of attention products and feed-forward nets, and where their
values pass.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..model import BlockPorts, Entry, Exit
from .dataflow import Finding, Flow, Join
from .embeddings_heads import NORMS
from .tape import Call, Frame, Passing, Tape

_FIRST = ({"q"}, {"k", "v"}, {"gate", "up"})
"""The roles of the maps that read x; what comes earlier here is asked first."""
_ROUTES = frozenset(
    "view _unsafe_view reshape _to_copy clone alias detach expand unsqueeze squeeze index "
    "index_select transpose permute".split()
)
"""What tokens go through on their way to experts."""

_SHAPES = frozenset("view _unsafe_view reshape".split())


@dataclass(frozen=True, slots=True)
class Sublayer:
    """What one attention product, or one feed-forward net, adds to the stream."""

    group: int
    join: Join
    members: tuple[Finding, ...]
    ends: frozenset[int]
    """The products that the branch is made of: the attention product, or the last maps."""


def find_sublayers(flow: Flow, findings: Sequence[Finding]) -> Iterator[Sublayer]:
    """Every branch that has roles, under the group of its findings."""
    groups: dict[int, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.group, []).append(finding)
    joins = {join.node: join for join in flow.joins}
    for group, members in groups.items():
        if group in joins:
            last = frozenset(f.node for f in members if f.role.endswith(".down"))
            join = joins[group]
        else:
            last = frozenset({group})
            join = next((j for j in flow.joins if flow.tape.reaches(group, j.branch)), None)
        if join is not None and last:
            yield Sublayer(group, join, tuple(members), last)


def find_block_ports(
    flow: Flow, passing: Passing, layers: frozenset[str], findings: Sequence[Finding]
) -> dict[int, BlockPorts]:
    """The ports of every sublayer, by its group."""
    sublayers = tuple(find_sublayers(flow, findings))
    found: dict[int, BlockPorts] = {}
    for sublayer in sublayers:
        frame = passing.around(sublayer.join.node, layers)
        beside = [s for s in sublayers if s.join == sublayer.join and s.group != sublayer.group]
        if (out := _output(flow, frame, sublayer, beside)) is not None:
            call, output = out
            shape = flow.tape.nodes[sublayer.join.node].shape
            residual = frame.entry(sublayer.join.stream, before=call)
            entry = input_entry(flow, frame, sublayer.members, shape)
            norm = _norm(flow, frame, sublayer)
            found[sublayer.group] = BlockPorts(shape[-1], output, entry, residual, norm)
    return found


def _output(
    flow: Flow, frame: Frame, sublayer: Sublayer, beside: Sequence[Sublayer]
) -> tuple[Call, Exit] | None:
    """The last module that returns all of the branch, and nothing of another one.

    Two branches may be added to each other before the stream, and a branch may be scaled outside of
    any module.
    """
    tape, join = flow.tape, sublayer.join
    own = [end for end in sublayer.ends if tape.reaches(end, join.branch)]
    others = [
        end
        for other in beside
        for end in other.ends
        if not any(tape.reaches(end, mine) for mine in own)
    ]
    for node in range(join.branch, min(own, default=join.branch + 1) - 1, -1):
        if not tape.reaches(node, join.branch) or tape.nodes[node].shape[-1:] != _width(flow, join):
            continue
        if not all(tape.reaches(end, node) for end in own):
            continue
        if any(tape.reaches(end, node) for end in others):
            continue
        if (found := frame.exit(node)) is not None:
            return found
    return None


def _width(flow: Flow, join: Join) -> tuple[int, ...]:
    return flow.tape.nodes[join.node].shape[-1:]


def first_map(flow: Flow, members: Sequence[Finding]) -> int | None:
    """The data of the first map of those that read what the queries, or the hidden features, are
    made of.
    """
    for roles in _FIRST:
        nodes = [f.node for f in members if f.role.rpartition(".")[2] in roles]
        if nodes:
            return flow.maps[min(nodes)].data
    return None


def input_entry(
    flow: Flow, frame: Frame, members: Sequence[Finding], shape: tuple[int, ...] | None
) -> Entry | None:
    """Where the input of a sublayer goes into a module; with the tokens laid out as in a shape, if
    one is given.
    """
    node = first_map(flow, members)
    while node is not None:
        made = flow.tape.nodes[node]
        if shape is None or made.shape[:-1] == shape[:-1]:
            entry = frame.entry(node)
            if entry is not None:
                return entry
        node = made.inputs[0] if made.kind in _ROUTES else None
    return None


def _norm(flow: Flow, frame: Frame, sublayer: Sublayer) -> str | None:
    """The norm that alone reads the sum, where the branch has none before its first maps."""
    tape, join = flow.tape, sublayer.join
    data = first_map(flow, sublayer.members)
    if data is None or any(
        node.kind in NORMS and tape.reaches(join.stream, node.index)
        for node in tape.nodes[join.stream + 1 : data + 1]
        if tape.reaches(node.index, data)
    ):
        return None
    total = _laid_out(tape, join.node)
    readers = _readers(tape, total)
    for call, _ in frame.passing.into.get(total, ()):
        inside = tape.nodes[call.start : call.stop]
        if not frame.owns(call) or not any(node.kind in NORMS for node in inside):
            continue
        if all(call.made(reader) for reader in readers):
            return call.path
    return None


def _laid_out(tape: Tape, node: int) -> int:
    """A node that is read as another shape alone, in that shape."""
    readers = _readers(tape, node)
    while len(readers) == 1 and tape.nodes[readers[0]].kind in _SHAPES:
        node = readers[0]
        readers = _readers(tape, node)
    return node


def _readers(tape: Tape, node: int) -> list[int]:
    return [reader.index for reader in tape.nodes[node + 1 :] if node in reader.inputs]
