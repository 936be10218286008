"""The value of a constant expression over named constants: numbers, strings, bools, members,
ranges, lists.
"""

from collections.abc import Mapping
from math import inf, isfinite, log2

from .. import diagnostics
from ..checked import Value
from ..diagnostics.report import SpecError
from ..syntax.expression import (
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
    Text,
    Unary,
)
from ..syntax.source import Span
from ..syntax.vocabulary import FUNCTIONS
from .calls import call

BITS = 64
Constants = Mapping[str, Value]


def evaluate(expression: Expression, constants: Constants) -> Value:
    """The value of an expression; raises SpecError with the one mistake that was met first.

    Enumeration members count as constants whose value is their name. A quotient of two integers
    that comes out even is an integer.
    """
    match expression:
        case Number(value, span) | Factor(value, span):
            return bounded(value, span)
        case Text(value) | Bool(value):
            return value
        case Name(name, span):
            return _constant(name, span, constants)
        case Range(start, stop, span):
            return _range(start, stop, span, constants)
        case Sequence(items):
            return tuple(evaluate(item, constants) for item in items)
        case Unary(operator, operand):
            return _unary(operator, operand, constants)
        case Binary():
            return _binary(expression, constants)
        case Conditional(then, test, otherwise):
            return evaluate(then if truth(test, constants, "if") else otherwise, constants)
        case Call():
            return _call(expression, constants)
        case Attribute() | Index() | Largest() | Comprehension():
            raise SpecError([diagnostics.NotConstant(expression.span)])


def number(expression: Expression, constants: Constants, operator: str) -> int | float:
    """The value of an operand that must be a number."""
    value = evaluate(expression, constants)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise SpecError(
            [diagnostics.WrongOperand(operator, describe(value), "numbers", expression.span)]
        )
    return value


def truth(expression: Expression, constants: Constants, operator: str) -> bool:
    """The value of an operand that must be true or false."""
    value = evaluate(expression, constants)
    if not isinstance(value, bool):
        raise SpecError(
            [diagnostics.WrongOperand(operator, describe(value), "true or false", expression.span)]
        )
    return value


def describe(value: Value) -> str:
    """A value with its type, as a message says it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return f"the integer {value}"
        case float():
            return f"the number {value:g}"
        case str():
            return f'the string "{value}"' if len(value) <= 40 else "a string"
        case range():
            return f"the range {value.start}..{value.stop - 1}"
        case tuple():
            return "a list"


def bounded(value: float, span: Span) -> int | float:
    """A number, if it is within bounds."""
    if isinstance(value, int):
        if value.bit_length() <= BITS:
            return value
    elif isfinite(value):
        return value
    raise SpecError([diagnostics.NumberTooLarge(span)])


def _constant(name: str, span: Span, constants: Constants) -> Value:
    if name in constants:
        return constants[name]
    raise SpecError([diagnostics.UnknownName(name, span, tuple(sorted(constants)))])


def _range(start: Expression, stop: Expression, span: Span, constants: Constants) -> range:
    ends: list[int] = []
    for end in (start, stop):
        value = number(end, constants, "..")
        if not isinstance(value, int):
            raise SpecError([diagnostics.WrongOperand("..", describe(value), "integers", end.span)])
        ends.append(value)
    if ends[1] < ends[0] and (ends[0] < 0) == (ends[1] < 0):
        raise SpecError([diagnostics.EmptyRange(ends[0], ends[1], span)])
    return range(ends[0], ends[1] + 1)


def _unary(operator: str, operand: Expression, constants: Constants) -> Value:
    if operator == "not":
        return not truth(operand, constants, "not")
    return -number(operand, constants, operator)


def _binary(expression: Binary, constants: Constants) -> Value:
    operator, left, right = expression.operator, expression.left, expression.right
    match operator:
        case "and":
            return truth(left, constants, "and") and truth(right, constants, "and")
        case "or":
            return truth(left, constants, "or") or truth(right, constants, "or")
        case "==":
            return evaluate(left, constants) == evaluate(right, constants)
        case "!=":
            return evaluate(left, constants) != evaluate(right, constants)
        case "@":
            raise SpecError([diagnostics.NotConstant(expression.span)])
        case _:
            pair = number(left, constants, operator), number(right, constants, operator)
    if operator in ("<", "<=", ">", ">="):
        return _ordered(operator, *pair)
    if operator in ("/", "//", "%") and pair[1] == 0:
        raise SpecError([diagnostics.DivisionByZero(right.span)])
    return bounded(_arithmetic(operator, *pair), expression.span)


def _ordered(operator: str, left: float, right: float) -> bool:
    match operator:
        case "<":
            return left < right
        case "<=":
            return left <= right
        case ">":
            return left > right
        case _:
            return left >= right


def _arithmetic(operator: str, left: float, right: float) -> int | float:
    """The result, or infinity where it is out of bounds."""
    try:
        match operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                even = isinstance(left, int) and isinstance(right, int) and left % right == 0
                return left // right if even else left / right
            case "//":
                return left // right
            case "%":
                return left % right
            case _:
                return power(left, right)
    except OverflowError:
        return inf


def power(left: float, right: float) -> int | float:
    """A power, or infinity where it has no room: `10 ** 10 ** 10` must not take a minute."""
    if left == 0:
        return inf if right < 0 else left**right
    if isinstance(right, float) and left < 0 and not right.is_integer():
        return inf
    if right * log2(abs(left)) > (BITS if isinstance(left, int) else 1024):
        return inf
    result = left**right
    assert isinstance(result, int | float)
    return result


def _call(expression: Call, constants: Constants) -> Value:
    if not isinstance(expression.function, Name):
        raise SpecError([diagnostics.NotConstant(expression.span)])
    name, span = expression.function.name, expression.function.span
    function = FUNCTIONS.get(name)
    if function is None:
        raise SpecError([diagnostics.UnknownFunction(name, span, tuple(FUNCTIONS))])
    if function.family != "number" or function.results != 1:
        raise SpecError([diagnostics.NotConstant(expression.span)])
    arguments = tuple(
        (number(argument.value, constants, name), argument) for argument in expression.arguments
    )
    return bounded(call(function, expression, arguments), expression.span)
