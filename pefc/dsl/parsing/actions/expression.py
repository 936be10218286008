"""Expressions: arguments, conditions, formulas."""

import re

from ... import diagnostics
from ...syntax.expression import (
    Argument,
    Attribute,
    Binary,
    Bool,
    Call,
    Comprehension,
    Conditional,
    Expression,
    Factor,
    Index,
    Largest,
    Name,
    Number,
    Range,
    Sequence,
    Slice,
    Text,
    Unary,
)
from ...syntax.source import Span
from ..lexer import Token
from .fault import Fault

LARGEST_DIGITS = 18
"""Whole numbers of more digits, and numbers that a float cannot hold, are mistakes."""

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t", "r": "\r"}


def value_of(token: Token, span: Span) -> int | float:
    """The value of a number as it is written."""
    text = token.text.rstrip("x")
    if text.isdigit():
        if len(text) > LARGEST_DIGITS:
            raise Fault(diagnostics.NumberTooLarge(span), Number(0, span))
        return int(text)
    value = float(text)
    if value == float("inf"):
        raise Fault(diagnostics.NumberTooLarge(span), Number(0, span))
    return value


def number(span: Span, token: Token) -> Number:
    return Number(value_of(token, span), span)


def factor(span: Span, token: Token) -> Factor:
    return Factor(value_of(token, span), span)


def text(span: Span, token: Token) -> Text:
    """A string, with its escapes put in."""
    inside = token.text[1:-1]
    if "\\" not in inside:
        return Text(inside, span)
    for escape in _ESCAPE.finditer(inside):
        if escape[2] is not None and escape[2] not in _ESCAPES:
            start = token.start + 1 + escape.start()
            place = Span(span.source, start, start + len(escape[0]))
            raise Fault(diagnostics.UnknownEscape(place, escape[0]), Text(inside, span))
    return Text(_ESCAPE.sub(_unescaped, inside), span)


def _unescaped(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 16)) if escape[1] else _ESCAPES[escape[2]]


def documentation(span: Span, token: Token | None) -> Text | None:
    """The string that a body begins with."""
    return None if token is None else text(_place(span, token), token)


def true(span: Span, _: Token) -> Bool:
    return Bool(value=True, span=span)


def false(span: Span, _: Token) -> Bool:
    return Bool(value=False, span=span)


def name(span: Span, token: Token) -> Name:
    return Name(token.text, span)


def range_(span: Span, start: Expression, stop: Expression) -> Range:
    return Range(start, stop, span)


def sequence(span: Span, *items: Expression) -> Sequence:
    return Sequence(items, span)


def unary(span: Span, operator: Token, operand: Expression) -> Expression:
    """A minus before a number belongs to the number."""
    if operator.text == "-" and isinstance(operand, Number) and operand.value >= 0:
        return Number(-operand.value, span)
    return Unary(operator.text, operand, span)


def binary(span: Span, left: Expression, operator: Token, right: Expression) -> Binary:
    return Binary(operator.text, left, right, span)


def conditional(
    span: Span, then: Expression, test: Expression, otherwise: Expression
) -> Conditional:
    return Conditional(then, test, otherwise, span)


def positional(span: Span, value: Expression) -> Argument:
    return Argument(None, value, span)


def keyword(span: Span, token: Token, value: Expression) -> Argument:
    return Argument(token.text, value, span)


def comprehension(
    span: Span, element: Expression, variable: Token, iterable: Expression
) -> Argument:
    return Argument(None, Comprehension(element, variable.text, iterable, span), span)


def call(span: Span, function: Expression, *arguments: Argument) -> Call:
    return Call(function, arguments, span)


def attribute(span: Span, value: Expression, token: Token) -> Attribute:
    return Attribute(value, token.text, span)


def index(span: Span, value: Expression, *items: Expression | Slice) -> Index:
    return Index(value, items, span)


def slice_(
    span: Span, start: Expression | None, stop: Expression | None, step: Expression | None
) -> Slice:
    return Slice(start, stop, step, span)


def largest(span: Span, token: Token) -> Largest:
    return Largest(Name(token.text, _place(span, token)), span)


def largest_of(span: Span, token: Token, *arguments: Argument) -> Call:
    """`max(a, b)`: the function, not `max in`."""
    return Call(Name(token.text, _place(span, token)), arguments, span)


def _place(span: Span, token: Token) -> Span:
    return Span(span.source, token.start, token.stop)


ACTIONS = {
    "number": number,
    "factor": factor,
    "text": text,
    "true": true,
    "false": false,
    "name": name,
    "range": range_,
    "sequence": sequence,
    "unary": unary,
    "binary": binary,
    "conditional": conditional,
    "positional": positional,
    "keyword": keyword,
    "comprehension": comprehension,
    "call": call,
    "attribute": attribute,
    "index": index,
    "slice": slice_,
    "largest": largest,
    "largest_of": largest_of,
}
