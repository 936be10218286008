"""Copies of syntax in which names stand for values: what expands a recipe."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import TypeVar

from ..checked import Value
from ..source import Span
from ..syntax import Bool, Expression, Name, Number, Range, Sequence, Text

Node = TypeVar("Node")


def substitute(
    node: Node,
    values: Mapping[str, Value],
    *,
    via: Span | None = None,
    members: frozenset[str] = frozenset(),
) -> Node:
    """A copy of a node with names replaced by their values and every span marked as brought in by `via`.

    Strings in `members` come back as bare names, other strings as text.
    """
    copy = _copy(node, values, via, members)
    assert isinstance(copy, type(node)) or isinstance(node, Name)
    return copy  # type: ignore[return-value]


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
        return node if via is None else Span(node.source, node.start, node.stop, _under(node, via))
    if isinstance(node, Name) and node.name in values:
        span = _copy(node.span, values, via, members)
        assert isinstance(span, Span)
        return literal(values[node.name], span, members)
    if isinstance(node, tuple):
        return tuple(_copy(item, values, via, members) for item in node)
    if not is_dataclass(node):
        return node
    return type(node)(
        **{name: _copy(getattr(node, name), values, via, members) for name in _names(type(node))}
    )


def _under(span: Span, via: Span) -> Span:
    """The chain of uses of a span, with one more at its outer end."""
    if span.via is None:
        return via
    return Span(span.via.source, span.via.start, span.via.stop, _under(span.via, via))


@cache
def _names(kind: type) -> tuple[str, ...]:
    return tuple(entry.name for entry in fields(kind))
