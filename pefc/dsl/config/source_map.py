"""The text that a structure becomes, which remembers where each part of it comes from."""

from bisect import bisect_right
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import TypeVar, cast

from ..diagnostics.report import Diagnostic  # noqa: TC001  # as everywhere in dsl
from ..syntax.source import Source, Span
from .node import Leaf
from .structure_texts import Definitions

Tree = TypeVar("Tree")


@dataclass(frozen=True, slots=True)
class Piece:
    """Characters of the text, from `start` on, and the place that they come from."""

    start: int
    span: Span
    exact: bool
    """Character by character; else the whole place stands for each."""

    def place(self, offset: int) -> tuple[int, int]:
        """The characters that one character comes from."""
        if not self.exact:
            return self.span.start, self.span.stop
        start = self.span.start + offset - self.start
        return start, start + 1


class Draft:
    """A text that grows, and the mistakes found on the way."""

    def __init__(self, default: Span | None, definitions: Definitions | None = None) -> None:
        self.definitions: Definitions = definitions or {}
        """What the structure defines itself."""
        self.mistakes: list[Diagnostic] = []
        self._parts: list[str] = []
        self._length = 0
        self._pieces: list[Piece] = []
        self._default = default

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def write(self, text: str, span: Span | None = None) -> None:
        """Text of our own, which stands for a place as a whole; without one, for that of what was
        written last.
        """
        last = self._pieces[-1].span if self._pieces else self._default
        self._add(text, span or last, exact=False)

    def copy(self, leaf: Leaf) -> None:
        """The text of a value: line by line, as a config may indent it."""
        if leaf.span is None:
            self.write(leaf.text)
            return
        written, cursor = leaf.span.text, 0
        lines = [leaf.text] if leaf.text in written else leaf.text.splitlines(keepends=True)
        for line in lines:
            found = written.find(line.rstrip("\n"), cursor)
            if found < 0:
                self.write(line, leaf.span)
                continue
            cursor = found + len(line.rstrip("\n"))
            start = leaf.span.start + found
            self._add(line, Span(leaf.span.source, start, start + len(line)), exact=True)

    def relocated(self, tree: Tree, generated: Source) -> Tree:
        """A tree or a diagnostic whose spans lie in the text, with spans in the config instead."""
        if not self._pieces:
            return tree
        return cast("Tree", self._moved(tree, generated))

    def _add(self, text: str, span: Span | None, *, exact: bool) -> None:
        if text and span is not None:
            self._pieces.append(Piece(self._length, span, exact))
        self._parts.append(text)
        self._length += len(text)

    def _moved(self, value: object, generated: Source) -> object:
        if isinstance(value, Span):
            return self._place(value) if value.source is generated else value
        if isinstance(value, tuple):
            items = cast("tuple[object, ...]", value)
            return tuple(self._moved(item, generated) for item in items)
        if not is_dataclass(value) or isinstance(value, type):
            return value
        parts = {entry.name: getattr(value, entry.name) for entry in fields(value) if entry.init}
        moved = {name: self._moved(part, generated) for name, part in parts.items()}
        changed = {name: part for name, part in moved.items() if part is not parts[name]}
        return replace(value, **changed) if changed else value

    def _place(self, span: Span) -> Span:
        first = self._piece(span.start)
        start, stop = first.place(span.start)
        if span.stop > span.start:
            last = self._piece(span.stop - 1)
            start, stop = min(start, last.place(span.stop - 1)[0]), last.place(span.stop - 1)[1]
        return Span(first.span.source, start, max(start, stop))

    def _piece(self, offset: int) -> Piece:
        index = bisect_right(self._pieces, offset, key=lambda piece: piece.start)
        return self._pieces[max(index - 1, 0)]
