"""Nodes of the events of a YAML text. Composing is left to nobody else: the composer of libyaml
recurses in C, and a deep text ends the process.
"""

import re
from collections.abc import Iterator
from typing import Literal, NoReturn, cast

import yaml

from .. import diagnostics
from ..diagnostics.report import SpecError
from ..syntax.source import Source, Span
from .node import Items, Leaf, Node, Table
from .python_values import DEEPEST, refuse

LARGEST = 200_000
"""Nodes of a config; those of an alias count wherever it is used."""

_NUMBER = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")


def read_yaml(source: Source) -> Node:
    """Everything that a YAML text holds; raises SpecError if it is none."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events = cast("Iterator[yaml.Event]", yaml.parse(source.text, Loader=loader))  # pyright: ignore[reportUnknownMemberType]
        return _Reader(source, events).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        refuse(source, mark.index if mark else 0, "YAML", error.problem or "not readable")
    except yaml.YAMLError as error:
        offset = getattr(error, "position", 0)
        refuse(source, offset, "YAML", str(getattr(error, "reason", "not readable")))


class _Reader:
    """Reads events one after the other."""

    def __init__(self, source: Source, events: Iterator[yaml.Event]) -> None:
        self._source = source
        self._events = events
        self._anchors: dict[str, tuple[Node, int]] = {}
        """What each anchor names, and how many nodes it has."""
        self._count = 0

    def document(self) -> Node:
        """The one document of the text."""
        found: Node = Leaf("null", "null")
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "a second document")
                found = self._node(next(self._events), 0)
        return found

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        before = self._count
        self._add(event, 1)
        if depth > DEEPEST:
            self._refuse(event, "nested too deeply")
        if isinstance(event, yaml.ScalarEvent):
            node: Node = Leaf(event.value, _kind(event), self._span(event, event))
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._items(event, depth)
        else:
            node = self._table(event, depth)
        anchor: str | None = getattr(event, "anchor", None)
        if anchor is not None:
            self._anchors[anchor] = node, self._count - before
        return node

    def _items(self, start: yaml.Event, depth: int) -> Items:
        items: list[Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return Items(tuple(items), self._span(start, event))

    def _table(self, start: yaml.Event, depth: int) -> Table:
        entries: dict[str, tuple[Leaf, Node]] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Leaf):
                self._refuse(event, "a key that is no text")
            if key.text in entries:
                raise SpecError([diagnostics.DuplicateKey(key.span, key.text)])
            entries[key.text] = key, self._node(next(self._events), depth + 1)
        return Table(tuple(entries.values()), self._span(start, event))

    def _alias(self, event: yaml.AliasEvent) -> Node:
        if event.anchor not in self._anchors:
            self._refuse(event, f"nothing above is called `{event.anchor}`")
        node, count = self._anchors[event.anchor]
        self._add(event, count)
        return node

    def _add(self, event: yaml.Event, count: int) -> None:
        self._count += count
        if self._count > LARGEST:
            self._refuse(event, "more values than a spec has, aliases counted")

    def _refuse(self, event: yaml.Event, reason: str) -> NoReturn:
        refuse(self._source, event.start_mark.index, "YAML", reason)

    def _span(self, first: yaml.Event, last: yaml.Event) -> Span:
        start, stop = first.start_mark.index, last.end_mark.index
        return Span(self._source, start, start + len(self._source.text[start:stop].rstrip()))


def _kind(event: yaml.ScalarEvent) -> Literal["text", "number", "bool", "null"]:
    """What a plain scalar is, by the rules of YAML 1.2: `on` and `1e-4` are what they look like."""
    if event.style:
        return "text"
    if event.value in {"", "~", "null"}:
        return "null"
    if event.value in {"true", "false"}:
        return "bool"
    return "number" if _NUMBER.fullmatch(event.value) else "text"
