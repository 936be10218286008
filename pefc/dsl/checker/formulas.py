"""Formulas: whether each name, call and attribute means something at its place."""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal, assert_never

from .. import diagnostics
from ..diagnostics.report import Diagnostic
from ..evaluation import misfits
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
    Slice,
    Text,
    Unary,
)
from ..syntax.source import Span
from ..syntax.vocabulary import ATTRIBUTES, AXES, FUNCTIONS, MODULES, SITES, Function


class Stage(IntEnum):
    """When a value is known."""

    SIZE = 0
    """From parameters and dims alone."""
    TENSOR = 1
    """Once tensors are there, before any input."""
    FORWARD = 2
    """In a forward only."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a name is."""

    stage: Stage
    kind: Literal["value", "map", "method", "methods"] = "value"
    owner: str = "a value"
    """What it is called in a message."""
    span: Span | None = None
    is_whole: bool = True
    """Whether it may be the size of a tensor."""
    is_function: bool = False
    """Whether it is a choice among functions of one argument, and may be called."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an expression is for, and how much may be known there."""

    limit: Stage
    what: str
    positions: bool = False
    """Inside of `where`."""


SIZES = "parameters, dims and values made of them"
TENSORS = "parameters, dims, `W` and the tensors and values above that need no input"


@dataclass(slots=True)
class Frame:
    """A method while it is checked."""

    site: str
    names: dict[str, Known]
    members: frozenset[str]
    """Members of the enumerations of its parameters."""
    later: dict[str, Span]
    """Everything that its body declares."""
    found: list[Diagnostic]
    used: set[str] = field(default_factory=set[str])

    def branch(self) -> "Frame":
        """A frame whose declarations do not show outside; mistakes and uses do."""
        return replace(self, names=dict(self.names))


TEST = Place(Stage.SIZE, "the test of an `if`")


def look(expression: Expression, place: Place, frame: Frame) -> Stage:
    """When the value of an expression is known; mistakes are reported to the frame."""
    match expression:
        case Number() | Factor() | Text() | Bool():
            return Stage.SIZE
        case Name():
            return _name(expression, place, frame)
        case Unary(_, operand):
            return look(operand, place, frame)
        case Binary(_, left, right) | Range(left, right):
            return max(look(left, place, frame), look(right, place, frame))
        case Sequence(items):
            return _latest([look(item, place, frame) for item in items])
        case Conditional(then, test, otherwise):
            look(test, TEST, frame)
            return max(look(then, place, frame), look(otherwise, place, frame))
        case Call():
            return _call(expression, place, frame)
        case Attribute(value, name):
            if name not in ATTRIBUTES or ATTRIBUTES[name] is not None:
                frame.found.append(
                    diagnostics.UnknownAttribute(name, expression.span, tuple(ATTRIBUTES))
                )
            return look(value, place, frame)
        case Index(value, items):
            parts = [_item(item, place, frame) for item in items]
            return _latest([look(value, place, frame), *parts])
        case Largest(dim):
            return look(dim, place, frame)
        case Comprehension():
            return _comprehension(expression, place, frame)
        case _:
            assert_never(expression)


def look_positions(expression: Expression, frame: Frame) -> None:
    """Checks the `where` of a rule: positions joined by `and`, `or`, `not`."""
    place = Place(Stage.SIZE, "a number of positions", positions=True)
    match expression:
        case Unary("not", operand):
            look_positions(operand, frame)
        case Binary("and" | "or", left, right):
            look_positions(left, frame)
            look_positions(right, frame)
        case Call(Name("first" | "last" as name)):
            frame.found.extend(misfits(FUNCTIONS[name], expression))
            for argument in expression.arguments:
                look(argument.value, place, frame)
        case _:
            frame.found.append(diagnostics.MisplacedPositions(expression.span, inside=True))


def _latest(stages: list[Stage]) -> Stage:
    return max(stages, default=Stage.SIZE)


def _item(item: Expression | Slice, place: Place, frame: Frame) -> Stage:
    if isinstance(item, Slice):
        parts = (item.start, item.stop, item.step)
        return _latest([look(part, place, frame) for part in parts if part is not None])
    if isinstance(item, Name) and item.name == "none":
        return Stage.SIZE
    return look(item, place, frame)


def _name(name: Name, place: Place, frame: Frame) -> Stage:
    known = frame.names.get(name.name)
    if known is None:
        _unknown(name, frame)
        return Stage.SIZE
    frame.used.add(name.name)
    if known.kind == "map":
        frame.found.append(diagnostics.NotValue(name.name, name.span))
    elif known.kind != "value":
        frame.found.append(diagnostics.MisplacedMethod(name.span, is_method=True))
    elif known.stage > place.limit:
        may = SIZES if place.limit is Stage.SIZE else TENSORS
        frame.found.append(diagnostics.TooLate(name.name, place.what, may, name.span))
    return known.stage


def _unknown(name: Name, frame: Frame) -> None:
    """Reports a name that means nothing, unless it is a member of an enumeration."""
    word, span = name.name, name.span
    if word in frame.members:
        return
    if word in frame.later:
        frame.used.add(word)
        frame.found.append(diagnostics.UsedBeforeDefinition(word, span, frame.later[word]))
    elif word in FUNCTIONS or word in SITES[frame.site].calls:
        frame.found.append(diagnostics.NotValue(word, span))
    else:
        frame.found.append(diagnostics.UnknownName(word, span, tuple(frame.names)))


def _call(expression: Call, place: Place, frame: Frame) -> Stage:
    match expression.function:
        case Name():
            return _named_call(expression, expression.function, place, frame)
        case Attribute(value, name, span):
            function = ATTRIBUTES.get(name)
            if function is None:
                frame.found.append(diagnostics.UnknownAttribute(name, span, tuple(ATTRIBUTES)))
                return look(value, place, frame)
            frame.found.extend(misfits(function, expression))
            return max(look(value, place, frame), _arguments(expression, function, place, frame))
        case _:
            frame.found.append(
                diagnostics.NotCallable(expression.function.span.text, expression.function.span)
            )
            return Stage.SIZE


def _named_call(expression: Call, callee: Name, place: Place, frame: Frame) -> Stage:
    name, span = callee.name, callee.span
    known = frame.names.get(name)
    if known is not None and (known.kind == "map" or known.is_function):
        frame.used.add(name)
        function = Function(name, ("value",), 1)
        frame.found.extend(misfits(function, expression))
        stage = max(known.stage, _arguments(expression, function, place, frame))
        return max(stage, Stage.TENSOR)
    function = _function(name, frame)
    if function is None:
        _no_function(callee, known, frame)
        for argument in expression.arguments:
            look(argument.value, place, frame)
        return Stage.SIZE
    if function.family == "distribution":
        frame.found.append(diagnostics.MisplacedDistribution(name, span))
    elif function.family == "position":
        frame.found.append(diagnostics.MisplacedPositions(span, inside=False))
    frame.found.extend(misfits(function, expression))
    stage = _arguments(expression, function, place, frame)
    return stage if function.family == "number" else max(stage, Stage.TENSOR)


def _function(name: str, frame: Frame) -> Function | None:
    if name in FUNCTIONS:
        return FUNCTIONS[name]
    return Function(name, ("value",), 1) if name in SITES[frame.site].calls else None


def _no_function(callee: Name, known: Known | None, frame: Frame) -> None:
    name, span = callee.name, callee.span
    if known is not None:
        frame.used.add(name)
        frame.found.append(diagnostics.NotCallable(name, span))
    elif name in frame.later:
        frame.found.append(diagnostics.UsedBeforeDefinition(name, span, frame.later[name]))
    else:
        maps = (key for key, entry in frame.names.items() if entry.kind == "map")
        calls = SITES[frame.site].calls
        frame.found.append(
            diagnostics.UnknownFunction(name, span, (*maps, *calls, *FUNCTIONS, *MODULES))
        )


def _arguments(expression: Call, function: Function, place: Place, frame: Frame) -> Stage:
    if function.name == "change":
        return _change(expression, frame)
    stages: list[Stage] = []
    for index, argument in enumerate(expression.arguments):
        last = min(index, len(function.parameters) - 1)
        name = argument.name or (function.parameters[last] if function.parameters else "")
        if name == "axis" and isinstance(argument.value, Name) and argument.value.name in AXES:
            continue
        stages.append(look(argument.value, place, frame))
    return _latest(stages)


def _change(expression: Call, frame: Frame) -> Stage:
    for argument in expression.arguments:
        value = argument.value
        known = frame.names.get(value.name) if isinstance(value, Name) else None
        if known is None or known.kind != "method":
            frame.found.append(diagnostics.MisplacedMethod(value.span, is_method=False))
        elif isinstance(value, Name):
            frame.used.add(value.name)
    return Stage.FORWARD


def _comprehension(expression: Comprehension, place: Place, frame: Frame) -> Stage:
    over = expression.iterable
    known = frame.names.get(over.name) if isinstance(over, Name) else None
    if known is None or known.kind != "methods":
        frame.found.append(diagnostics.MisplacedMethod(over.span, is_method=False))
    elif isinstance(over, Name):
        frame.used.add(over.name)
    inner = frame.branch()
    inner.names[expression.variable] = Known(Stage.FORWARD, "method", "a method")
    return look(expression.element, place, inner)
