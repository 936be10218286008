"""Text of statements, the first line of those that hold others."""

from typing import assert_never

from ..syntax.method import Alias, Method, Use
from ..syntax.statement import (
    Attach,
    Constant,
    Import,
    Modify,
    Recipe,
    Setting,
    Statement,
    Task,
    TuneStatement,
)
from .expression import COMMA, arguments, expression, text
from .method import header
from .selector import selection


def statement(node: Statement) -> str:
    """The line of a statement; of one with a block only the first, without its brace."""
    match node:
        case Attach():
            where = "" if node.selection is None else selection(node.selection)
            label = "" if node.label is None else f" as {node.label}"
            return f"{_use(node.use)}{where}{label}{_rest(node)}"
        case TuneStatement():
            what = "" if node.what is None else f" {node.what}"
            return f"tune{what}{selection(node.selection)}{_rest(node)}"
        case Modify():
            return _use(node.use)
        case Task():
            return f"task {node.name}"
        case Constant():
            word = "param" if node.overridable else "let"
            return f"{word} {node.name} = {expression(node.value)}"
        case Import():
            return f"import {text(node.path.value)}"
        case Recipe() | Method():
            return header(node)
        case Alias():
            return f"method {node.name} = {_use(node.base)}"
        case _:
            assert_never(node)


def _use(node: Use) -> str:
    return f"{node.name}({arguments(node.arguments)})" if node.arguments else node.name


def _rest(node: Attach | TuneStatement) -> str:
    expect = "" if node.expect is None else f" expect {node.expect}"
    if not node.settings:
        return expect
    return f"{expect} with {COMMA.join(_setting(setting) for setting in node.settings)}"


def _setting(node: Setting) -> str:
    tensor = "" if node.tensor is None else f".{node.tensor}"
    return f"{node.name}{tensor}={expression(node.value)}"
