"""Nodes of what Python's readers make of TOML and JSON, and of what a program hands in."""

import re
from collections.abc import Mapping, Sequence
from typing import NoReturn, cast

from .. import diagnostics
from ..diagnostics.report import SpecError
from ..syntax.source import Source, Span
from .node import Items, Leaf, Node, Table

DEEPEST = 100
"""Levels of lists and tables; deeper ones are no spec."""


class Numeral(str):
    """A number as it is written in a config."""

    __slots__ = ()


class Pairs(list[tuple[str, object]]):
    """A table whose keys may be there twice."""

    __slots__ = ()


class Finder:
    """Finds the places of values in a text whose reader does not tell them: each after the one
    before.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._position = 0

    def find(self, text: str) -> Span:
        start = self._source.text.find(text, self._position) if text.strip() else -1
        if start < 0:
            return Span(self._source, self._position, self._position)
        self._position = start + len(text)
        return Span(self._source, start, self._position)


def node_of(value: object, finder: Finder | None = None, depth: int = 0) -> Node:
    """The node of a value; raises SpecError for what has no place in a spec."""
    if depth > DEEPEST:
        raise SpecError([diagnostics.NotAPart(None, "value", "fewer levels of lists and tables")])
    match value:
        case None:
            return Leaf("null", "null", finder and finder.find("null"))
        case bool():
            text = "true" if value else "false"
            return Leaf(text, "bool", finder and finder.find(text))
        case Numeral() | int() | float():
            return Leaf(str(value), "number", finder and finder.find(str(value)))
        case str():
            return Leaf(value, "text", finder and _place(value, finder))
        case Pairs():
            return _table(value, finder, depth)
        case Mapping():
            entries = cast("Mapping[object, object]", value).items()
            return _table([(str(key), inner) for key, inner in entries], finder, depth)
        case Sequence():
            given = cast("Sequence[object]", value)
            items = tuple(node_of(item, finder, depth + 1) for item in given)
            return Items(items, _around(items))
        case _:
            kind = type(value).__name__
            expected = f"texts, numbers, lists and tables, not {kind}"
            raise SpecError([diagnostics.NotAPart(None, "value", expected)])


def _table(pairs: Sequence[tuple[str, object]], finder: Finder | None, depth: int) -> Table:
    entries: list[tuple[Leaf, Node]] = []
    seen: set[str] = set()
    for key, value in pairs:
        name = Leaf(key, "text", finder and finder.find(key))
        if key in seen:
            raise SpecError([diagnostics.DuplicateKey(name.span, key)])
        seen.add(key)
        entries.append((name, node_of(value, finder, depth + 1)))
    return Table(tuple(entries), _around(tuple(part for entry in entries for part in entry)))


def _place(value: str, finder: Finder) -> Span:
    """A text that is written with escapes or over several lines is found by its first and last
    words.
    """
    span = finder.find(value)
    words = re.findall(r"[\w.*]+", value)
    if span.start < span.stop or not words:
        return span
    found = [finder.find(word) for word in words]
    return found[0].to(found[-1])


def _around(nodes: tuple[Node, ...]) -> Span | None:
    spans = [node.span for node in nodes if node.span is not None]
    return spans[0].to(spans[-1]) if spans else None


def refuse(source: Source, offset: int, language: str, reason: str) -> NoReturn:
    """Says that a config is not of its language, at an offset."""
    place = Span(source, min(offset, len(source.text)), min(offset + 1, len(source.text)))
    raise SpecError([diagnostics.BadConfig(place, language, reason)])
