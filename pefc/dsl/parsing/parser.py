"""From text to syntax tree, or to every mistake in its syntax."""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from .. import diagnostics
from ..diagnostics.report import Diagnostic, SpecError
from ..syntax.source import Source, Span
from ..syntax.statement import Spec
from .automaton import Automaton
from .errors import describe
from .lexer import BREAK, END, Scanner, Token
from .recovery import next_stop, statement_starts

_MOST = 1000
"""Mistakes; who makes more has given something else than a spec."""

_STOPS = {";": BREAK, "\n": BREAK, "{": "LBRACE", "}": "RBRACE"}
"""Where a statement that could not be read may end."""


def parse(source: Source) -> Spec:
    """The syntax tree of a text; raises SpecError with every mistake in its syntax."""
    with _uncollected():
        return _parse(Automaton(source), Scanner(source))


def _parse(automaton: Automaton, scanner: Scanner) -> Spec:
    mistakes: list[Diagnostic] = []
    while True:
        token = scanner.next(automaton.row)
        if not automaton.feed(token):
            mistake = describe(token, automaton)
            mistakes.append(mistake)
            if token.kind == END or len(mistakes) > _MOST:
                break
            closed = isinstance(mistake, diagnostics.UnclosedBracket)
            _recover(token, automaton, scanner, closed=closed)
        elif token.kind == END:
            break
    return _result(automaton, scanner, mistakes)


@contextmanager
def _uncollected() -> Generator[None]:
    """Without the garbage collector: a tree has no cycles, and walking it while it grows takes a
    third of the time.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _result(automaton: Automaton, scanner: Scanner, mistakes: list[Diagnostic]) -> Spec:
    source = automaton.source
    if len(mistakes) > _MOST:
        mistakes[-1] = diagnostics.TooManyMistakes(
            Span(source, scanner.position, scanner.position), _MOST
        )
    if mistakes or automaton.faults:
        found = (*mistakes, *automaton.faults)
        raise SpecError(sorted(found, key=_place))
    spec = cast("Spec", automaton.values[-1])
    return Spec(spec.statements, tuple(scanner.comments), span=Span(source, 0, len(source.text)))


def _recover(token: Token, automaton: Automaton, scanner: Scanner, *, closed: bool) -> None:
    """Puts ERROR in the place of the statement or item that holds the mistake, and goes on where it
    ends; `closed` takes the bracket as closed that should have been.
    """
    source, position = automaton.source, token.start
    brackets = len(automaton.open_brackets())
    first = automaton.retreat("ERROR")
    broken = "BROKEN_METHOD" if isinstance(first, Token) and first.kind == "METHOD" else "ERROR"
    brackets -= len(automaton.open_brackets())
    automaton.feed(Token(broken, "", position, position))
    if brackets and statement_starts(source, position):
        position = max(source.text.rfind("\n", 0, position), 0)
    else:
        brackets -= closed
        stops = frozenset(sign for sign, kind in _STOPS.items() if automaton.accepts(kind))
        position, _ = next_stop(source, position, brackets=max(brackets, 0), stops=stops)
    scanner.resume(position, brackets=0)


def _place(mistake: Diagnostic) -> int:
    span = mistake.labels()[0].span
    return span.start if span else 0
