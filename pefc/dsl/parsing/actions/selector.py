"""Selectors, and the clauses that say where."""

from dataclasses import dataclass
from typing import Protocol, TypeVar

from ... import diagnostics
from ...syntax.expression import Expression, Name, Number, Range
from ...syntax.selector import (
    AnyOf,
    Both,
    ClassTerm,
    Except,
    Layers,
    Quoted,
    Selection,
    Selector,
    Term,
)
from ...syntax.source import Span
from ..lexer import Token
from . import expression
from .fault import Fault


@dataclass(frozen=True, slots=True)
class On:
    """`on attn.q, attn.v`."""

    selector: Selector
    span: Span


@dataclass(frozen=True, slots=True)
class Condition:
    """`where in >= 1024`."""

    test: Expression
    span: Span


class Clause(Protocol):
    """Something with a place, after the method of a statement."""

    @property
    def span(self) -> Span: ...


Kind = TypeVar("Kind")


def term(span: Span, token: Token, optional: Token | None) -> Term:
    pattern = token.text.replace(" ", "").replace("\t", "")
    return Term(pattern, optional=optional is not None, span=span)


def quoted(span: Span, token: Token, optional: Token | None) -> Quoted:
    pattern = expression.text(span, token).value
    return Quoted(pattern, optional=optional is not None, span=span)


def class_term(span: Span, token: Token, optional: Token | None) -> ClassTerm:
    return ClassTerm(token.text[1:], optional=optional is not None, span=span)


def any_of(span: Span, *members: Selector) -> AnyOf:
    return AnyOf(members, span)


def except_(span: Span, base: Selector, excluded: Selector) -> Except:
    return Except(base, excluded, span)


def both(span: Span, left: Selector, right: Selector) -> Both:
    return Both(left, right, span)


def group(span: Span, selector: Selector, *clauses: Layers | Condition) -> Selector:
    """Parentheses leave no trace, unless they hold clauses."""
    node = selection((On(selector, span), *clauses)) if clauses else None
    fault = repeated(clauses)
    if fault is not None:
        raise Fault(fault, selector)
    return node or selector


def on(span: Span, selector: Selector) -> On:
    return On(selector, span)


def layers(span: Span, *ranges: Range) -> Layers:
    return Layers(ranges, span)


def all_layers(span: Span) -> Layers:
    return Layers((), span)


def layer_range(span: Span, start: Name | Number, stop: Name | Number | None) -> Range:
    return Range(start, start if stop is None else stop, span)


def layer_number(span: Span, minus: Token | None, token: Token) -> Number:
    value = expression.value_of(token, span)
    if not isinstance(value, int):
        raise Fault(diagnostics.FractionalLayer(span), Number(0, span))
    return Number(value if minus is None else -value, span)


def condition(span: Span, test: Expression) -> Condition:
    return Condition(test, span)


def selection(clauses: tuple[object, ...]) -> Selection | None:
    """The selection that clauses describe together; None if none of them says where."""
    parts = [clause for clause in clauses if isinstance(clause, On | Layers | Condition)]
    if not parts:
        return None
    target = pick(clauses, On)
    test = pick(clauses, Condition)
    return Selection(
        target.selector if target else None,
        pick(clauses, Layers),
        test.test if test else None,
        span=parts[0].span.to(parts[-1].span),
    )


def pick(clauses: tuple[object, ...], kind: type[Kind]) -> Kind | None:
    """The first clause of a kind."""
    for clause in clauses:
        if isinstance(clause, kind):
            return clause
    return None


def repeated(clauses: tuple[Clause, ...]) -> diagnostics.Diagnostic | None:
    """The mistake of saying one thing twice."""
    first: dict[type, Clause] = {}
    for clause in clauses:
        if first.setdefault(type(clause), clause) is not clause:
            word = clause.span.text.split()[0]
            return diagnostics.RepeatedClause(clause.span, word, first[type(clause)].span)
    return None


ACTIONS = {
    "term": term,
    "quoted": quoted,
    "class_term": class_term,
    "any_of": any_of,
    "except_": except_,
    "both": both,
    "group": group,
    "on": on,
    "layers": layers,
    "all_layers": all_layers,
    "layer_range": layer_range,
    "layer_number": layer_number,
    "condition": condition,
}
