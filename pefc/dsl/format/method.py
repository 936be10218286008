"""Text of what stands in a method definition, line by line."""

from typing import assert_never

from ..syntax.expression import Expression
from ..syntax.method import (
    Affine,
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
    When,
)
from ..syntax.statement import Recipe
from .expression import COMMA, SUM, expression, expressions


def header(node: Method | Recipe) -> str:
    """The first line of a definition, without its brace."""
    given = f"({COMMA.join(_parameter(p) for p in node.parameters)})" if node.parameters else ""
    if isinstance(node, Method):
        return f"method {node.name}{given} on {node.site}"
    return f"recipe {node.name}{given}"


def item(node: MethodItem) -> str:
    """The line of an item; of `if` only the first, without its brace."""
    match node:
        case Tensor() | Affine() | Indices() | Module():
            return _declaration(node)
        case Let():
            return f"let {COMMA.join(node.names)} = {expressions(node.values)}"
        case Init():
            return f"init {COMMA.join(node.names)} = {expressions(node.values)}"
        case Require():
            return f"require {expression(node.condition)}"
        case When():
            return f"if {expression(node.test)}"
        case Rule():
            return _rule(node)
        case Extend():
            return f"extend {COMMA.join(node.targets)} by {expressions(node.values)}"
        case Tune():
            return f"tune {COMMA.join(parameter.name for parameter in node.parameters)}"
        case Loss():
            return f"loss += {expression(node.value)}"
        case Shrink():
            return f"shrink {node.dim} to {expression(node.to)} by {expression(node.policy)}"
        case Rebase():
            return f"rebase W = {expression(node.value)}"
        case _:
            assert_never(node)


def _parameter(node: Parameter) -> str:
    match node.type:
        case None:
            kind = ""
        case NamedType():
            kind = f": {node.type.name}"
        case Enumeration():
            kind = f": {{{COMMA.join(enumerated(node.type))}}}"
        case _:
            assert_never(node.type)
    return f"{node.name}{kind}" + ("" if node.default is None else f" = {expression(node.default)}")


def enumerated(node: Enumeration) -> tuple[str, ...]:
    """What stands between the braces of an enumeration."""
    return (*node.members, '"text"') if node.text else node.members


def _declaration(node: Tensor | Affine | Indices | Module) -> str:
    scope = "" if node.scope is None else f"per {node.scope} "
    match node:
        case Tensor():
            shape = _shape(node.shape)
            return f"{_frozen(node)}{scope}{node.name}: {shape}{_initial(node)}"
        case Affine():
            ends = f"{expression(node.source, SUM)} -> {expression(node.target, SUM)}"
            return f"{_frozen(node)}{scope}{node.name}: {ends}{_initial(node)}"
        case Indices():
            pairs = zip(node.names, node.shapes, strict=True)
            named = COMMA.join(f"{name}: {_shape(shape)}" for name, shape in pairs)
            of = "" if node.of is None else f" of {_shape(node.of)}"
            return f"index {scope}{named}{of} = {expression(node.value)}"
        case Module():
            return f"{scope}{node.name}: {expression(node.call)}"
        case _:
            assert_never(node)


def _frozen(node: Tensor | Affine) -> str:
    return "frozen " if node.frozen else ""


def _initial(node: Tensor | Affine) -> str:
    if node.value is not None:
        return f" = {expression(node.value)}"
    if node.distribution is None:
        return ""
    seed = "" if node.seed is None else f" seed {expression(node.seed)}"
    return f" ~ {expression(node.distribution)}{seed}"


def _shape(dims: tuple[Expression, ...]) -> str:
    return f"[{expressions(dims)}]"


def _rule(node: Rule) -> str:
    over = "" if node.over is None else f"  over dropout({expression(node.over)})"
    where = "" if node.where is None else f"  where {expression(node.where)}"
    return f"{node.target} {node.operator} {expression(node.value)}{over}{where}"
