"""An LALR(1) automaton over the tables that Lark makes of `grammar/peft.lark`.

Nodes are made as rules are recognised, without a tree in between. The automaton is here, not Lark's, so that a spec of
ten thousand statements is read in a second, and so that no run imports Lark.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ..grammar import tables
from .actions import ACTIONS, Fault
from .diagnostics.core import Diagnostic, SpecError
from .diagnostics.statements import NestedTooDeep
from .layout import END, Token
from .source import Source, Span

DEEPEST = 100
"""Levels of nesting in the tree; whatever walks it may recurse."""

_HIGHEST = 1000
"""Symbols on the stack; `((((` gets here before there is a tree."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """A rule, with its function at hand."""

    name: str
    size: int
    passes: bool
    """The only child is the value."""
    action: Callable[..., object] | None
    collects: bool
    keep: tables.Keep


class Automaton:
    """The stacks of a parse in progress: states, values, where each value starts, and how deep it is."""

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
            action = rows[states[-1]].get(kind)
            if action is None:
                return kind == END and states[-1] == self._end
            if action >= 0:
                self._shift(action, token)
                return True
            reduction = self._reductions[~action]
            if reduction.passes:
                states[-1] = rows[states[-2]][reduction.name]
            else:
                self._reduce(reduction)

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
            if self._would_take(states := shorter.copy(), keyword) and self._would_take(states, kind)
        )

    def retreat(self, kind: str) -> object:
        """Forgets what was read, back to where a token of this kind has a place; the first value forgotten."""
        value: object = None
        while kind not in self.row:
            value = self.values.pop()
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

    def _shift(self, state: int, token: Token) -> None:
        if len(self.states) > _HIGHEST:
            self._give_up(Span(self.source, token.start, token.stop))
        self.states.append(state)
        self.values.append(token)
        self._starts.append(token.start)
        self._depths.append(0)
        self._stop = token.stop

    def _reduce(self, reduction: Reduction) -> None:
        bottom = len(self.states) - reduction.size
        parts = self.values[bottom:]
        start = self._starts[bottom] if parts else self._stop
        depth = max(self._depths[bottom:], default=0)
        del self.states[bottom:], self.values[bottom:], self._starts[bottom:], self._depths[bottom:]
        if reduction.action is None:
            value = _collected(reduction.keep, parts) if reduction.collects else _only(reduction.keep, parts)
        else:
            depth += 1
            value = self._made(reduction, parts, Span(self.source, start, self._stop))
        if depth > DEEPEST:
            self._give_up(Span(self.source, start, min(self._stop, start + 1)))
        self.states.append(self._rows[self.states[-1]][reduction.name])
        self.values.append(value)
        self._starts.append(start)
        self._depths.append(depth)

    def _made(self, reduction: Reduction, parts: list[object], span: Span) -> object:
        assert reduction.action is not None
        try:
            return reduction.action(span, *_collected(reduction.keep, parts))
        except Fault as fault:
            self.faults.append(fault.diagnostic)
            return fault.node

    def _give_up(self, span: Span) -> None:
        raise SpecError((*self.faults, NestedTooDeep(span)))


def _only(keep: tables.Keep, parts: list[object]) -> object:
    (index,) = keep
    return parts[index]


def _collected(keep: tables.Keep, parts: list[object]) -> list[object]:
    """The values that carry meaning. A list at the left grows in place, so that long lists cost no more per item."""
    values: list[object] = []
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
def _reductions() -> tuple[Reduction, ...]:
    return tuple(
        Reduction(
            rule.name,
            rule.size,
            rule.action is None and rule.size == 1,
            None if rule.action in {None, "_"} else ACTIONS[rule.action],
            rule.action == "_",
            rule.keep,
        )
        for rule in tables.load().rules
    )
