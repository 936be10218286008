"""Statements of a spec."""

from dataclasses import dataclass
from typing import cast

from ... import diagnostics
from ...syntax.expression import Argument, Expression, Text
from ...syntax.method import Parameter, Use
from ...syntax.selector import Selection
from ...syntax.source import Span
from ...syntax.statement import (
    Attach,
    Constant,
    Import,
    Modify,
    Recipe,
    Setting,
    Spec,
    Statement,
    Task,
    TuneStatement,
)
from ..lexer import Token
from . import expression
from .fault import Fault, mistake
from .selector import Clause, pick, repeated, selection


@dataclass(frozen=True, slots=True)
class Label:
    """`as style`."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Expect:
    """`expect 6`."""

    count: int
    span: Span


@dataclass(frozen=True, slots=True)
class Settings:
    """`with lr=10x, decay=0`."""

    items: tuple[Setting, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class RecipeBody:
    """What stands between the braces of a recipe."""

    documentation: Text | None
    statements: tuple[Statement, ...]


def spec(span: Span, *statements: Statement) -> Spec:
    return Spec(statements, span=span)


def block(_: Span, *statements: Statement) -> tuple[Statement, ...]:
    return statements


def use(span: Span, name: Token, *arguments: Argument | None) -> Use:
    given = tuple(argument for argument in arguments if argument is not None)
    return Use(name.text, given, Span(span.source, name.start, name.stop), span)


def label(span: Span, name: Token) -> Label:
    return Label(name.text, span)


def expect(span: Span, token: Token) -> Expect:
    count = expression.value_of(token, span)
    if not isinstance(count, int):
        raise Fault(diagnostics.NoWholeNumber(span), Expect(0, span))
    return Expect(count, span)


def settings(span: Span, *items: Setting) -> Settings:
    return Settings(items, span)


def setting(span: Span, name: Token, tensor: Token | None, value: Expression) -> Setting:
    return Setting(name.text, tensor.text if tensor else None, value, span)


def attach(span: Span, used: Use, *clauses: Clause) -> Attach:
    named, expected, given = pick(clauses, Label), pick(clauses, Expect), pick(clauses, Settings)
    node = Attach(
        used,
        selection(clauses),
        named.name if named else None,
        expected.count if expected else None,
        given.items if given else (),
        span=span,
    )
    fault = repeated(clauses)
    if fault is not None:
        raise Fault(fault, node)
    return node


def modify(span: Span, used: Use, body: tuple[Statement, ...]) -> Modify:
    return Modify(used, body, span)


def tune_statement(span: Span, kind: Token | None, *clauses: Clause) -> TuneStatement:
    expected, given = pick(clauses, Expect), pick(clauses, Settings)
    where = selection(clauses)
    node = TuneStatement(
        kind.text if kind else None,
        where or Selection(None, span=span),
        expected.count if expected else None,
        given.items if given else (),
        span=span,
    )
    fault = repeated(clauses) or (diagnostics.MissingSelector(span) if where is None else None)
    if fault is not None:
        raise Fault(fault, node)
    return node


def task(span: Span, name: Token, body: tuple[Statement, ...]) -> Task:
    return Task(name.text, body, Span(span.source, name.start, name.stop), span)


def let_constant(span: Span, name: Token, value: Expression) -> Constant:
    return _constant(span, name, value, overridable=False)


def param_constant(span: Span, name: Token, value: Expression) -> Constant:
    return _constant(span, name, value, overridable=True)


def _constant(span: Span, name: Token, value: Expression, *, overridable: bool) -> Constant:
    place = Span(span.source, name.start, name.stop)
    return Constant(name.text, value, overridable, place, span)


def import_(span: Span, token: Token) -> Import:
    try:
        return Import(expression.text(Span(span.source, token.start, token.stop), token), span)
    except Fault as fault:
        fault.node = Import(cast("Text", fault.node), span)
        raise


def recipe(
    span: Span, name: Token, parameters: tuple[Parameter, ...] | None, body: RecipeBody
) -> Recipe:
    place = Span(span.source, name.start, name.stop)
    return Recipe(name.text, parameters or (), body.documentation, body.statements, place, span)


def recipe_body(span: Span, documentation: Token | None, *statements: Statement) -> RecipeBody:
    try:
        return RecipeBody(expression.documentation(span, documentation), statements)
    except Fault as fault:
        fault.node = RecipeBody(cast("Text", fault.node), statements)
        raise


ACTIONS = {
    "spec": spec,
    "block": block,
    "mistake": mistake,
    "use": use,
    "label": label,
    "expect": expect,
    "settings": settings,
    "setting": setting,
    "attach": attach,
    "modify": modify,
    "tune_statement": tune_statement,
    "task": task,
    "let_constant": let_constant,
    "param_constant": param_constant,
    "import": import_,
    "recipe": recipe,
    "recipe_body": recipe_body,
}
