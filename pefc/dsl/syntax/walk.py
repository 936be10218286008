"""One way through every tree: over the fields of its dataclasses."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from .source import Span


def children(node: object) -> Iterator[object]:
    """The nodes directly inside a node, in the order in which they stand."""
    for entry in fields(node):  # pyright: ignore[reportArgumentType]
        value = getattr(node, entry.name)
        for item in value if isinstance(value, tuple) else (value,):  # pyright: ignore[reportUnknownVariableType]
            if is_dataclass(item) and not isinstance(item, Span):  # pyright: ignore[reportUnknownArgumentType]
                yield item


def walk(node: object) -> Iterator[object]:
    """A node and everything inside it, outermost first."""
    yield node
    for child in children(node):
        yield from walk(child)
