"""Selections: layer ranges and conditions, with constants replaced by their values."""

from dataclasses import replace

from .. import diagnostics
from ..diagnostics.report import Diagnostic, SpecError
from ..evaluation import evaluate
from ..syntax.expression import (
    Binary,
    Bool,
    Call,
    Conditional,
    Expression,
    Name,
    Number,
    Range,
    Unary,
)
from ..syntax.selector import AnyOf, Both, Except, Layers, Selection, Selector
from ..syntax.vocabulary import FACTS, FUNCTIONS
from .scope import Constants
from .substitution import literal, substitute

BOOLEAN = ("and", "or", "==", "!=", "<", "<=", ">", ">=")


def resolved(selection: Selection, constants: Constants, found: list[Diagnostic]) -> Selection:
    """The selection with the values of constants in layer ranges and conditions."""
    inner = selection.selector
    selector = None if inner is None else _selector(inner, constants, found)
    layers, where = selection.layers, selection.where
    if layers is not None and layers.ranges:
        layers = _layers(layers, constants, found)
    if where is not None:
        where = _condition(where, constants, found)
    if selector is inner and layers is selection.layers and where is selection.where:
        return selection
    return replace(selection, selector=selector, layers=layers, where=where)


def _selector(selector: Selector, constants: Constants, found: list[Diagnostic]) -> Selector:
    match selector:
        case Selection():
            return resolved(selector, constants, found)
        case AnyOf(members):
            parts = tuple(_selector(member, constants, found) for member in members)
            same = all(new is old for new, old in zip(parts, members, strict=True))
            return selector if same else replace(selector, members=parts)
        case Except(base, excluded):
            pair = _selector(base, constants, found), _selector(excluded, constants, found)
            same = pair[0] is base and pair[1] is excluded
            return selector if same else replace(selector, base=pair[0], excluded=pair[1])
        case Both(left, right):
            pair = _selector(left, constants, found), _selector(right, constants, found)
            same = pair[0] is left and pair[1] is right
            return selector if same else replace(selector, left=pair[0], right=pair[1])
        case _:
            return selector


def _layers(layers: Layers, constants: Constants, found: list[Diagnostic]) -> Layers:
    ranges = tuple(_range(entry, constants, found) for entry in layers.ranges)
    same = all(new is old for new, old in zip(ranges, layers.ranges, strict=True))
    return layers if same else replace(layers, ranges=ranges)


def _range(entry: Range, constants: Constants, found: list[Diagnostic]) -> Range:
    try:
        value = evaluate(entry, constants)
    except SpecError as error:
        found.extend(error.diagnostics)
        return entry
    assert isinstance(value, range)
    if isinstance(entry.start, Number) and isinstance(entry.stop, Number):
        return entry
    start = literal(value.start, entry.start.span)
    return Range(start, literal(value.stop - 1, entry.stop.span), entry.span)


def _condition(where: Expression, constants: Constants, found: list[Diagnostic]) -> Expression:
    if not _is_boolean(where):
        found.append(diagnostics.NotCondition(where.span))
    used = {name.name for name in _names(where, found)}
    values = {name: constants[name] for name in used if name not in FACTS and name in constants}
    found += [
        diagnostics.UnknownFact(name.name, name.span, FACTS, tuple(constants))
        for name in _names(where, [])
        if name.name not in FACTS and name.name not in values
    ]
    return substitute(where, values) if values else where


def _is_boolean(expression: Expression) -> bool:
    match expression:
        case Bool():
            return True
        case Unary("not", operand):
            return _is_boolean(operand)
        case Binary("and" | "or", left, right):
            return _is_boolean(left) and _is_boolean(right)
        case Binary(operator):
            return operator in BOOLEAN
        case Conditional(then, _, otherwise):
            return _is_boolean(then) and _is_boolean(otherwise)
        case _:
            return False


def _names(expression: Expression, found: list[Diagnostic]) -> list[Name]:
    """The names of a condition; what has no place in one is reported."""
    match expression:
        case Name():
            return [expression]
        case Unary(_, operand):
            return _names(operand, found)
        case Binary(_, left, right):
            return [*_names(left, found), *_names(right, found)]
        case Conditional(then, test, otherwise):
            parts = (then, test, otherwise)
            return [name for part in parts for name in _names(part, found)]
        case Call(Name(function), arguments) if function in FUNCTIONS:
            return [name for entry in arguments for name in _names(entry.value, found)]
        case _:
            try:
                evaluate(expression, {})
            except SpecError as error:
                found.extend(error.diagnostics)
            return []
