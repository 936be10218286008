"""An LALR(1) automaton over the tables that Lark makes of `grammar/peft.lark`.

Nodes are made as rules are recognised, without a tree in between. The automaton is here, not
Lark's, so that a spec of ten thousand statements is read in a second, and so that no run imports
Lark.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from operator import itemgetter
from typing import Any, cast

from ...grammar import tables
from .. import diagnostics
from ..diagnostics.report import Diagnostic, SpecError
from ..syntax.source import Source, Span
from .actions import ACTIONS
from .actions.fault import Fault
from .lexer import END, Token

DEEPEST = 100
"""Levels of nesting in the tree; whatever walks it may recurse."""

_HIGHEST = 1000
"""Symbols on the stack; `((((` gets here before there is a tree."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """A rule, with its functions at hand."""

    name: str
    size: int
    passes: bool
    """The only child is the value."""
    pick: Callable[[list[Any]], Any]
    """From the children to those that carry meaning."""
    action: Callable[..., object] | None
    """Makes the value; without one the picked list, or the only picked child, is the value."""


class Automaton:
    """The stacks of a parse in progress: states, values, where each value starts, and how deep it
    is.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self.states = [0]
        self.values: list[object] = [None]
        self.faults: list[Diagnostic] = []
        """Mistakes that the functions of rules have found."""
        self._starts = [0]
        self._depths = [0]
        self._stop = 0
        self._rows = tables.load().rows
        self._end = tables.load().end
        self._reductions = _reductions()

    @property
    def row(self) -> dict[str, int]:
        """What the state on top does on a symbol."""
        return self._rows[self.states[-1]]

    def feed(self, token: Token) -> bool:
        """Takes a token in; False if it has no place."""
        rows, states, kind = self._rows, self.states, token.kind
        while True:
            top = states[-1]
            action = rows[top].get(kind)
            if action is None:
                return kind == END and top == self._end
            if action >= 0:
                break
            reduction = self._reductions[~action]
            if reduction.passes:
                states[-1] = self._hop(states[-2], top, kind)
            else:
                self._reduce(reduction)
        states.append(action)
        self.values.append(token)
        self._starts.append(token.start)
        self._depths.append(0)
        self._stop = token.stop
        if len(states) > _HIGHEST:
            self._give_up(token.start)
        return True

    def accepts(self, *kinds: str) -> bool:
        """Whether tokens of these kinds would have a place, one after the other."""
        states = self.states.copy()
        return all(self._would_take(states, kind) for kind in kinds)

    def expected(self) -> frozenset[str]:
        """The kinds of token that have a place here."""
        return frozenset(
            kind for kind in self.row if kind.isupper() or kind == END if self.accepts(kind)
        )

    def replacements(self, kind: str) -> tuple[str, ...]:
        """The keywords that, in place of the last token, would give one of this kind a place."""
        shorter = self.states[:-1]
        return tuple(
            word
            for word, keyword in tables.load().words.items()
            if self._would_take(states := shorter.copy(), keyword)
            and self._would_take(states, kind)
        )

    def retreat(self, kind: str) -> object:
        """Forgets what was read, back to where a token of this kind has a place, but not into a
        block that is closed; the first value forgotten.
        """
        value: object = None
        closed = 0
        while kind not in self.row or closed:
            value = self.values.pop()
            if isinstance(value, Token):
                closed += (value.kind == "RBRACE") - (value.kind == "LBRACE" and closed > 0)
            for stack in (self.states, self._starts, self._depths):
                stack.pop()
        return value

    def open_brackets(self) -> tuple[Token, ...]:
        """The brackets that are not closed yet, outermost first."""
        opened: list[Token] = []
        for value in self.values:
            if not isinstance(value, Token):
                continue
            if value.kind in {"LPAR", "LSQB", "LBRACE"}:
                opened.append(value)
            elif value.kind in {"RPAR", "RSQB", "RBRACE"}:
                opened.pop()
        return tuple(opened)

    def _would_take(self, states: list[int], kind: str) -> bool:
        while (action := self._rows[states[-1]].get(kind)) is not None:
            if action >= 0:
                states.append(action)
                return True
            reduction = self._reductions[~action]
            del states[len(states) - reduction.size :]
            states.append(self._rows[states[-1]][reduction.name])
        return kind == END and states[-1] == self._end

    def _hop(self, below: int, top: int, kind: str) -> int:
        """The state after all the rules that only hand their child on; an expression climbs eleven
        of them.
        """
        hops = _hops()
        start = (below, top, kind)
        found = hops.get(start)
        if found is None:
            action = self._rows[top].get(kind, 0)
            while action < 0 and self._reductions[~action].passes:
                top = self._rows[below][self._reductions[~action].name]
                action = self._rows[top].get(kind, 0)
            found = hops[start] = top
        return found

    def _reduce(self, reduction: Reduction) -> None:
        states, values, starts, depths = self.states, self.values, self._starts, self._depths
        size = reduction.size
        start = starts[-size] if size else self._stop
        depth = max(depths[-size:]) if size else 0
        value = reduction.pick(values[-size:] if size else [])
        if reduction.action is not None:
            depth += 1
            value = self._made(reduction.action, value, Span(self.source, start, self._stop))
        if depth > DEEPEST:
            self._give_up(start)
        if size:
            del states[-size:], values[-size:], starts[-size:], depths[-size:]
        states.append(self._rows[states[-1]][reduction.name])
        values.append(value)
        starts.append(start)
        depths.append(depth)

    def _made(self, action: Callable[..., object], parts: list[object], span: Span) -> object:
        try:
            return action(span, *parts)
        except Fault as fault:
            self.faults.append(fault.diagnostic)
            return fault.node

    def _give_up(self, start: int) -> None:
        place = Span(self.source, start, start + 1)
        raise SpecError((*self.faults, diagnostics.NestedTooDeep(place)))


def _picker(rule: tables.Rule) -> Callable[[list[Any]], Any]:
    """How the children of a rule become its parts; most rules take the fast ways."""
    keep = rule.keep
    if keep == tuple(range(rule.size)):
        return list
    if rule.action is None:
        return _chosen(*keep)
    if len(keep) > 1 and all(isinstance(entry, int) for entry in keep):
        return _chosen(*keep)
    return partial(_picked, keep)


def _chosen(*indices: object) -> Callable[[list[Any]], Any]:
    return cast("Callable[[list[Any]], Any]", itemgetter(*indices))


def _picked(keep: tables.Keep, parts: list[Any]) -> list[Any]:
    """The values that carry meaning. A list at the left grows in place, so that long lists cost no
    more per item.
    """
    values: list[Any] = []
    for entry in keep:
        if entry is None:
            values.append(None)
        elif isinstance(entry, int):
            values.append(parts[entry])
        elif values:
            values.extend(parts[entry[0]])
        else:
            values = parts[entry[0]]
    return values


@cache
def _hops() -> dict[tuple[int, int, str], int]:
    return {}


@cache
def _reductions() -> tuple[Reduction, ...]:
    return tuple(
        Reduction(
            rule.name,
            rule.size,
            rule.action is None and rule.size == 1,
            _picker(rule),
            ACTIONS.get(rule.action or "_"),
        )
        for rule in tables.load().rules
    )
