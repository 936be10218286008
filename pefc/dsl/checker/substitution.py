"""Copies of syntax in which names stand for values: what expands a recipe."""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TypeVar

from ..checked import Value
from ..syntax.expression import Bool, Expression, Name, Number, Range, Sequence, Text
from ..syntax.source import Span

Node = TypeVar("Node")


def substitute(
    node: Node,
    values: Mapping[str, Value],
    *,
    via: Span | None = None,
    members: frozenset[str] = frozenset(),
) -> Node:
    """A copy of a node with names replaced by values, its spans marked as brought in by `via`.

    Strings in `members` come back as bare names, other strings as text.
    """
    copy = _copy(node, values, via, members)
    assert isinstance(copy, type(node)) or isinstance(node, Name)
    return copy  # pyright: ignore[reportReturnType]


def literal(value: Value, span: Span, members: frozenset[str] = frozenset()) -> Expression:
    """The expression that has a value."""
    match value:
        case bool():
            return Bool(value, span)
        case int() | float():
            return Number(value, span)
        case str():
            return Name(value, span) if value in members else Text(value, span)
        case range():
            return Range(Number(value.start, span), Number(value.stop - 1, span), span)
        case tuple():
            return Sequence(tuple(literal(item, span, members) for item in value), span)


def _copy(
    node: object, values: Mapping[str, Value], via: Span | None, members: frozenset[str]
) -> object:
    if isinstance(node, Span):
        return node if via is None else Span(node.source, node.start, node.stop, via)
    if isinstance(node, Name) and node.name in values:
        span = _copy(node.span, values, via, members)
        assert isinstance(span, Span)
        return literal(values[node.name], span, members)
    if isinstance(node, tuple):
        items: tuple[object, ...] = node  # pyright: ignore[reportUnknownVariableType]
        return tuple(_copy(item, values, via, members) for item in items)
    if not is_dataclass(node):
        return node
    parts = {name: getattr(node, name) for name in _names(type(node))}
    copies = {name: _copy(part, values, via, members) for name, part in parts.items()}
    return _made(type(node), copies)


def _made(kind: Callable[..., object], parts: dict[str, object]) -> object:
    return kind(**parts)


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(kind))
