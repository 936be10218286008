"""The spec that a command is given: read from a file, a config or standard input, then checked."""

import sys

import typer

from ...dsl.checked import Checked, Value
from ...dsl.checker.check import check
from ...dsl.evaluation import evaluate
from ...dsl.read import parse, read
from ...dsl.syntax.expression import Name
from ...dsl.syntax.statement import Constant, Spec

STDIN = "-"


def spec_named(name: str) -> Spec:
    """The syntax tree of `FILE.peft`, `FILE.yaml#KEY` or `-`."""
    if name == STDIN:
        text = sys.stdin.buffer.read().decode("utf-8", errors="replace")
        return parse(text, name="<stdin>")
    return read(name)


def checked_spec(name: str, settings: tuple[str, ...]) -> Checked:
    """The checked spec, with the values that `--set` gave."""
    return check(spec_named(name), overrides=overrides(settings))


def overrides(settings: tuple[str, ...]) -> dict[str, Value]:
    """The values of `NAME=VALUE` settings, written as in a spec; a bare word is itself."""
    return dict(_override(setting) for setting in settings)


def _override(setting: str) -> tuple[str, Value]:
    name, sign, text = setting.partition("=")
    if not sign or not name.strip().isidentifier() or not text.strip():
        raise typer.BadParameter(f"`{setting}` is not NAME=VALUE", param_hint="--set")
    tree = parse(f"param {name.strip()} = {text.strip()}", name="--set")
    match tree.statements:
        case (Constant(value=Name(word)),):
            return name.strip(), word
        case (Constant(value=expression),):
            return name.strip(), evaluate(expression, {})
        case _:
            raise typer.BadParameter(f"`{setting}` is not one value", param_hint="--set")
