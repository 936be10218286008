"""Method definitions."""

from dataclasses import dataclass
from typing import cast

from ... import diagnostics
from ...syntax.expression import Call, Expression, Name, Text
from ...syntax.method import (
    Affine,
    Alias,
    Enumeration,
    Extend,
    Indices,
    Init,
    Let,
    Loss,
    Method,
    MethodItem,
    Module,
    NamedType,
    Parameter,
    Rebase,
    Require,
    Rule,
    Shrink,
    Tensor,
    Tune,
    Use,
    When,
)
from ...syntax.source import Span
from ..lexer import Token
from . import expression
from .fault import Fault
from .selector import Condition

Shape = tuple[Expression, ...]
FREE = '"text"'
"""What stands among the members of an enumeration that takes any string."""


@dataclass(frozen=True, slots=True)
class MethodBody:
    """What stands between the braces of a method."""

    documentation: Text | None
    items: tuple[MethodItem, ...]


@dataclass(frozen=True, slots=True)
class Initial:
    """`= e`, `~ dist seed e`."""

    value: Expression | None
    distribution: Expression | None
    seed: Expression | None


@dataclass(frozen=True, slots=True)
class IndexName:
    """`I: [n]`."""

    name: str
    shape: Shape


@dataclass(frozen=True, slots=True)
class Over:
    """`over dropout(p)`."""

    probability: Expression


def method(
    span: Span, name: Token, parameters: tuple[Parameter, ...] | None, site: Token, body: MethodBody
) -> Method:
    place = Span(span.source, name.start, name.stop)
    return Method(
        name.text, parameters or (), site.text, body.documentation, body.items, place, span
    )


def alias(span: Span, name: Token, base: Use) -> Alias:
    return Alias(name.text, base, Span(span.source, name.start, name.stop), span)


def parameters(_: Span, *items: Parameter | None) -> tuple[Parameter, ...]:
    return tuple(item for item in items if item is not None)


def parameter(
    span: Span, name: Token, kind: NamedType | Enumeration | None, default: Expression | None
) -> Parameter:
    return Parameter(name.text, kind, default, span)


def named_type(span: Span, name: Token) -> NamedType:
    return NamedType(name.text, span)


def enumeration(span: Span, *parts: Token | None) -> Enumeration:
    *members, free = parts
    names = tuple(member.text for member in members if member is not None)
    node = Enumeration(names, span, text=free is not None)
    if free is not None and free.text != FREE:
        place = Span(span.source, free.start, free.stop)
        raise Fault(diagnostics.StringMember(place), node)
    return node


def method_body(span: Span, documentation: Token | None, *items: MethodItem) -> MethodBody:
    try:
        return MethodBody(expression.documentation(span, documentation), items)
    except Fault as fault:
        fault.node = MethodBody(cast("Text", fault.node), items)
        raise


def method_block(_: Span, *items: MethodItem) -> tuple[MethodItem, ...]:
    return items


def tensor(
    span: Span, frozen: Token | None, scope: str | None, name: Token, shape: Shape, start: Initial
) -> Tensor:
    return Tensor(
        name.text,
        shape,
        start.value,
        start.distribution,
        frozen is not None,
        scope,
        start.seed,
        span=span,
    )


def affine(
    span: Span,
    frozen: Token | None,
    scope: str | None,
    name: Token,
    source: Expression,
    target: Expression,
    start: Initial | None,
) -> Affine:
    begin = start or Initial(None, None, None)
    return Affine(
        name.text,
        source,
        target,
        begin.value,
        begin.distribution,
        frozen is not None,
        scope,
        begin.seed,
        span=span,
    )


def module(span: Span, scope: str | None, name: Token, value: Expression) -> Module:
    if not isinstance(value, Call):
        fault = diagnostics.NotAModule(value.span, name.text)
        raise Fault(fault, Module(name.text, Call(value, (), span), scope, span=span))
    return Module(name.text, value, scope, span=span)


def indices(
    span: Span,
    scope: str | None,
    declared: tuple[IndexName, ...],
    of: Shape | None,
    value: Expression,
) -> Indices:
    names = tuple(entry.name for entry in declared)
    shapes = tuple(entry.shape for entry in declared)
    return Indices(names, shapes, of, value, scope, span=span)


def index_names(_: Span, *declared: IndexName) -> tuple[IndexName, ...]:
    return declared


def index_name(_: Span, name: Token, shape: Shape) -> IndexName:
    return IndexName(name.text, shape)


def scope(_: Span, word: Token) -> str:
    return word.text


def shape(_: Span, *dims: Expression | None) -> Shape:
    return tuple(dim for dim in dims if dim is not None)


def symbolic(_: Span, value: Expression) -> Initial:
    return Initial(value, None, None)


def random(_: Span, distribution: Expression, seed: Expression | None) -> Initial:
    return Initial(None, distribution, seed)


def let(span: Span, names: tuple[str, ...], values: tuple[Expression, ...]) -> Let:
    node = Let(names, values, span)
    if len(values) not in {1, len(names)}:
        raise Fault(diagnostics.UnevenNames(span, len(names), len(values)), node)
    return node


def init(span: Span, names: tuple[str, ...], values: tuple[Expression, ...]) -> Init:
    node = Init(names, values, span)
    if len(values) not in {1, len(names)}:
        raise Fault(diagnostics.UnevenNames(span, len(names), len(values)), node)
    return node


def names(_: Span, *tokens: Token) -> tuple[str, ...]:
    return tuple(token.text for token in tokens)


def expressions(_: Span, *items: Expression) -> tuple[Expression, ...]:
    return items


def require(span: Span, condition: Expression) -> Require:
    return Require(condition, span)


def when(
    span: Span,
    test: Expression,
    then: tuple[MethodItem, ...],
    otherwise: tuple[MethodItem, ...] | When | None,
) -> When:
    if isinstance(otherwise, When):
        otherwise = (otherwise,)
    return When(test, then, otherwise or (), span)


def rule(
    span: Span,
    target: Token,
    operator: Token,
    value: Expression,
    over: Over | None,
    condition: Condition | None,
) -> Rule:
    return Rule(
        target.text,
        operator.text,
        value,
        over.probability if over else None,
        condition.test if condition else None,
        span=span,
    )


def over(_: Span, probability: Expression) -> Over:
    return Over(probability)


def extend(span: Span, targets: tuple[str, ...], values: tuple[Expression, ...]) -> Extend:
    node = Extend(targets, values, span)
    if len(values) != len(targets):
        raise Fault(diagnostics.UnevenNames(span, len(targets), len(values)), node)
    return node


def tune(span: Span, *tokens: Token) -> Tune:
    places = (Span(span.source, token.start, token.stop) for token in tokens)
    return Tune(tuple(Name(t.text, place) for t, place in zip(tokens, places, strict=True)), span)


def loss(span: Span, value: Expression) -> Loss:
    return Loss(value, span)


def shrink(span: Span, dim: Token, to: Expression, policy: Use) -> Shrink:
    name = Name(policy.name, policy.name_span)
    return Shrink(dim.text, to, Call(name, policy.arguments, policy.span), span)


def rebase(span: Span, value: Expression) -> Rebase:
    return Rebase(value, span)


ACTIONS = {
    "method": method,
    "alias": alias,
    "parameters": parameters,
    "parameter": parameter,
    "named_type": named_type,
    "enumeration": enumeration,
    "method_body": method_body,
    "method_block": method_block,
    "tensor": tensor,
    "affine": affine,
    "module": module,
    "indices": indices,
    "index_names": index_names,
    "index_name": index_name,
    "scope": scope,
    "shape": shape,
    "symbolic": symbolic,
    "random": random,
    "let": let,
    "init": init,
    "names": names,
    "expressions": expressions,
    "require": require,
    "when": when,
    "rule": rule,
    "over": over,
    "extend": extend,
    "tune": tune,
    "loss": loss,
    "shrink": shrink,
    "rebase": rebase,
}
