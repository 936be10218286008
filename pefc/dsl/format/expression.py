"""Text of expressions, with no more parentheses than precedence asks for."""

import re
from typing import assert_never

from ..syntax.expression import (
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

COMMA = ",\0"
"""A comma after which a long line may be broken; the page turns it into `, `."""

LOOSEST = 0
_DISJUNCTION, _CONJUNCTION, _INVERSION, _COMPARISON, _RANGE = 1, 2, 3, 4, 5
SUM = 6
_PRODUCT, _NEGATION, _POWER, _POSTFIX = 7, 8, 9, 10

_LEVELS = {
    "or": (_DISJUNCTION, _DISJUNCTION, _CONJUNCTION),
    "and": (_CONJUNCTION, _CONJUNCTION, _INVERSION),
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">="), (_COMPARISON, _RANGE, _RANGE)),
    **dict.fromkeys(("+", "-"), (SUM, SUM, _PRODUCT)),
    **dict.fromkeys(("*", "/", "//", "%", "@"), (_PRODUCT, _PRODUCT, _NEGATION)),
    "**": (_POWER, _POSTFIX, _NEGATION),
}
"""For each operator its own level, and what its left and right operands must have at least."""

_SPECIAL = re.compile(r'["\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def expression(node: Expression, level: int = LOOSEST) -> str:
    """The text of an expression in a place that takes what binds at least as tightly as `level`."""
    match node:
        case Name():
            return node.name
        case Number() if node.value >= 0 or level <= _NEGATION:
            return number(node.value)
        case Number():
            return f"({number(node.value)})"
        case Binary():
            own, left, right = _LEVELS[node.operator]
            first, second = expression(node.left, left), expression(node.right, right)
            return _within(f"{first} {node.operator} {second}", own, level)
        case Call():
            given = arguments(node.arguments)
            return f"{expression(node.function, _POSTFIX)}({given})"
        case Range():
            ends = f"{expression(node.start, SUM)}..{expression(node.stop, SUM)}"
            return _within(ends, _RANGE, level)
        case Unary():
            return _unary(node, level)
        case Conditional():
            return _within(_conditional(node), LOOSEST, level)
        case Bool() | Factor() | Text() | Sequence() | Attribute() | Index() | Largest():
            return _tight(node)
        case Comprehension():
            return _comprehension(node)
        case _:
            assert_never(node)


def number(value: int | float) -> str:  # noqa: PYI041  # which of the two it is matters here
    """The shortest text of a number; small ones with an exponent."""
    if isinstance(value, int) or not value or 1e-3 <= abs(value) < 1e16:
        return repr(value)
    digits, _, exponent = f"{value!r}".partition("e")
    if not exponent:
        digits, _, exponent = _scientific(value).partition("e")
    return f"{digits.removesuffix('.0')}e{int(exponent)}"


def text(value: str) -> str:
    """A string in quotes."""
    return f'"{_SPECIAL.sub(_escaped, value)}"'


def arguments(items: tuple[Argument, ...]) -> str:
    return COMMA.join(
        expression(item.value) if item.name is None else f"{item.name}={expression(item.value)}"
        for item in items
    )


def expressions(items: tuple[Expression, ...]) -> str:
    return COMMA.join(expression(item) for item in items)


def _tight(node: Bool | Factor | Text | Sequence | Attribute | Index | Largest) -> str:
    """What never needs parentheses."""
    match node:
        case Bool():
            return "true" if node.value else "false"
        case Factor():
            return f"{number(node.value)}x"
        case Text():
            return text(node.value)
        case Sequence():
            return f"[{expressions(node.items)}]"
        case Attribute():
            return f"{expression(node.value, _POSTFIX)}.{node.name}"
        case Index():
            items = COMMA.join(_item(item) for item in node.items)
            return f"{expression(node.value, _POSTFIX)}[{items}]"
        case Largest():
            return f"max {expression(node.dim, _POSTFIX)}"
        case _:
            assert_never(node)


def _item(node: Expression | Slice) -> str:
    if not isinstance(node, Slice):
        return expression(node)
    start, stop, step = (
        "" if part is None else expression(part) for part in (node.start, node.stop, node.step)
    )
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"


def _unary(node: Unary, level: int) -> str:
    if node.operator == "not":
        return _within(f"not {expression(node.operand, _INVERSION)}", _INVERSION, level)
    return _within(f"{node.operator}{expression(node.operand, _NEGATION)}", _NEGATION, level)


def _conditional(node: Conditional) -> str:
    then, test = expression(node.then, _DISJUNCTION), expression(node.test, _DISJUNCTION)
    return f"{then} if {test} else {expression(node.otherwise)}"


def _comprehension(node: Comprehension) -> str:
    return f"{expression(node.element)} for {node.variable} in {expression(node.iterable)}"


def _within(inner: str, own: int, level: int) -> str:
    return f"({inner})" if own < level else inner


def _scientific(value: float) -> str:
    """The fewest digits that give the value back."""
    return next(written for digits in range(18) if float(written := f"{value:.{digits}e}") == value)


def _escaped(special: re.Match[str]) -> str:
    return _ESCAPES.get(special[0]) or f"\\u{ord(special[0]):04x}"
