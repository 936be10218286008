"""Calls of the language's functions: whether the arguments fit, and the values of the functions of
numbers.
"""

import math
from collections.abc import Sequence

from .. import diagnostics
from ..diagnostics.report import Diagnostic, SpecError
from ..syntax.expression import Argument, Bool, Call, Name
from ..syntax.vocabulary import FLAGS, Function


def misfits(function: Function, expression: Call) -> list[Diagnostic]:
    """What is wrong with the number and the names of a call's arguments."""
    given = expression.arguments
    positional = sum(argument.name is None for argument in given)
    most = len(function.parameters)
    if positional > most and not function.variadic:
        return [
            diagnostics.WrongArity(function.name, function.signature, len(given), expression.span)
        ]
    free = set(function.parameters[positional:])
    found: list[Diagnostic] = []
    for argument in given:
        if argument.name is None:
            continue
        if argument.name not in free:
            span = argument.span
            found.append(
                diagnostics.UnknownKeyword(function.name, argument.name, span, function.parameters)
            )
        free.discard(argument.name)
    if not found and free.intersection(function.parameters[: function.required]):
        return [
            diagnostics.WrongArity(function.name, function.signature, len(given), expression.span)
        ]
    return found


def with_flags(expression: Call) -> Call:
    """A call of a builtin module in which bare flags are arguments by keyword: `both=true`."""
    arguments = tuple(
        Argument(argument.value.name, Bool(value=True, span=argument.span), argument.span)
        if argument.name is None
        and isinstance(argument.value, Name)
        and argument.value.name in FLAGS
        else argument
        for argument in expression.arguments
    )
    return Call(expression.function, arguments, expression.span)


def call(
    function: Function, expression: Call, arguments: Sequence[tuple[float, Argument]]
) -> int | float:
    """The value of a function of numbers."""
    found = misfits(function, expression)
    if found:
        raise SpecError(found)
    values = [value for value, _ in arguments]
    try:
        return _apply(function.name, values)
    except (ValueError, OverflowError) as error:
        span = arguments[0][1].span
        if isinstance(error, OverflowError):
            return math.inf
        raise SpecError(
            [diagnostics.UndefinedResult(function.name, f"{values[0]:g}", span)]
        ) from None


def _apply(name: str, values: list[int | float]) -> int | float:
    match name:
        case "sqrt":
            return math.sqrt(values[0])
        case "exp":
            return math.exp(values[0])
        case "log":
            return math.log(values[0])
        case "sin":
            return math.sin(values[0])
        case "cos":
            return math.cos(values[0])
        case "abs":
            return abs(values[0])
        case "min":
            return min(values)
        case "max":
            return max(values)
        case "ceil":
            return math.ceil(values[0])
        case "floor":
            return math.floor(values[0])
        case _:
            assert name == "int", name
            return int(values[0])
