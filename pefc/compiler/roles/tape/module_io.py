"""Passing: where the nodes of a tape went into modules and came out of them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import nn

from ...model import BlockPorts, Entry, Exit
from .tape import Call, Given, Returned, Tape, is_inside


@dataclass(frozen=True)
class Passing:
    """A tape, read for its calls."""

    tape: Tape

    @cached_property
    def into(self) -> dict[int, list[tuple[Call, Given]]]:
        """For each node the calls that were given it, in the order in which they began."""
        found: dict[int, list[tuple[Call, Given]]] = {}
        for call in sorted(self.tape.calls, key=lambda call: call.entered):
            for given in call.given:
                found.setdefault(given.node, []).append((call, given))
        return found

    @cached_property
    def out_of(self) -> dict[int, list[tuple[Call, Returned]]]:
        """For each node the calls that returned it, the last first."""
        found: dict[int, list[tuple[Call, Returned]]] = {}
        for call in reversed(self.tape.calls):
            for returned in call.returned:
                found.setdefault(returned.node, []).append((call, returned))
        return found

    def around(self, node: int, paths: frozenset[str]) -> "Frame":
        """The call of one of the modules in which a node was made; the innermost of them, or that
        of the model.
        """
        for call in self.tape.calls:
            if call.path in paths and call.made(node):
                return self._frame(call)
        return self._frame(self.tape.calls[-1])

    def _frame(self, call: Call) -> "Frame":
        if call not in self._frames:
            self._frames[call] = Frame(self, call)
        return self._frames[call]

    @cached_property
    def _frames(self) -> "dict[Call, Frame]":
        return {}


@dataclass(frozen=True)
class Frame:
    """One call of a layer, and the calls of the modules in it."""

    passing: Passing
    call: Call

    @cached_property
    def counts(self) -> Counter[str]:
        """How often each module was called."""
        calls = self.passing.tape.calls
        return Counter(call.path for call in calls if self.call.holds(call))

    def owns(self, call: Call) -> bool:
        """A call of a module of the layer that the layer calls once.

        What is called again, such as one dropout for all branches, says not which branch passes.
        """
        return (
            self.call.holds(call)
            and self.counts[call.path] == 1
            and call.path != self.call.path
            and is_inside(call.path, self.call.path)
        )

    def entry(self, node: int, *, before: Call | None = None) -> Entry | None:
        """Where a node first goes into a module of the layer."""
        for call, given in self.passing.into.get(node, ()):
            if self.owns(call) and (before is None or call.entered <= before.entered):
                return Entry(call.path, given.index, given.name)
        return None

    def exit(self, node: int) -> tuple[Call, Exit] | None:
        """Where a node last comes out of a module of the layer."""
        for call, returned in self.passing.out_of.get(node, ()):
            if self.owns(call):
                return call, Exit(call.path, returned.place)
        return None


def call_ports(tape: Tape, modules: Mapping[str, nn.Module]) -> dict[str, BlockPorts]:
    """The ports of every module of modules, by what goes into it first and what comes out first."""
    found: dict[str, BlockPorts] = {}
    for call in tape.calls:
        if call.path in found or next(modules[call.path].children(), None) is None:
            continue
        given = next((g for g in call.given if _is_hidden(tape, g.node)), None)
        returned = next((r for r in call.returned if _is_hidden(tape, r.node)), None)
        if returned is not None:
            entry = None if given is None else Entry(call.path, given.index, given.name)
            width = tape.nodes[returned.node].shape[-1]
            found[call.path] = BlockPorts(width, Exit(call.path, returned.place), entry)
    return found


def _is_hidden(tape: Tape, node: int) -> bool:
    return tape.nodes[node].floating and len(tape.nodes[node].shape) > 1
