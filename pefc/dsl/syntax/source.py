"""Where text comes from, and places in it."""

from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cache


@dataclass(frozen=True, slots=True)
class Source:
    """A text with the name that diagnostics show for it."""

    name: str
    text: str = field(repr=False)

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both counted from 1."""
        starts = _line_starts(self.text)
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def line(self, number: int) -> str:
        """The text of a line, without its newline; lines count from 1."""
        starts = _line_starts(self.text)
        stop = starts[number] if number < len(starts) else len(self.text)
        return self.text[starts[number - 1] : stop].rstrip("\r\n")


@dataclass(frozen=True, slots=True)
class Span:
    """The characters [start, stop) of a source."""

    source: Source = field(repr=False)
    start: int
    stop: int
    via: "Span | None" = field(default=None, compare=False, repr=False)
    """The use of the recipe that brought this place into a spec; None where it was written
    directly.
    """

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.stop]

    def to(self, other: "Span") -> "Span":
        """From the start of this span to the end of another."""
        return Span(self.source, self.start, max(self.stop, other.stop), self.via)

    def __str__(self) -> str:
        line, column = self.source.position(self.start)
        return f"{self.source.name}:{line}:{column}"


@cache
def _line_starts(text: str) -> tuple[int, ...]:
    starts = [0]
    starts.extend(index + 1 for index, character in enumerate(text) if character == "\n")
    return tuple(starts)
