"""What a config holds, whichever language it is in: texts and numbers, lists, tables, each with its
place.
"""

from dataclasses import dataclass, field
from typing import Literal

from ..syntax.source import Span


@dataclass(frozen=True, slots=True)
class Leaf:
    """A single value, as text."""

    text: str
    kind: Literal["text", "number", "bool", "null"]
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Items:
    """A list."""

    items: "tuple[Node, ...]"
    span: Span | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Table:
    """Keys with values, in the order in which they stand."""

    entries: "tuple[tuple[Leaf, Node], ...]"
    span: Span | None = field(default=None, compare=False, repr=False)

    def get(self, key: str) -> "Node | None":
        return next((value for name, value in self.entries if name.text == key), None)

    def keys(self) -> tuple[str, ...]:
        return tuple(name.text for name, _ in self.entries)


Node = Leaf | Items | Table
