"""`pefc fmt`: specs in canonical form."""

from pathlib import Path

import typer

from ...dsl.diagnostics.commands import OnlySpecs
from ...dsl.diagnostics.report import SpecError
from ...dsl.format.page import format
from ..io.errors import FAULT, show
from ..io.outputs import write
from ..io.specs import STDIN, spec_named


def fmt(names: tuple[str, ...], *, only_check: bool) -> None:
    """Rewrite what is not canonical and name it on stdout; a file with mistakes stays as it is."""
    changed: list[str] = []
    is_faulty = False
    for name in names:
        try:
            if _format(name, only_check=only_check):
                changed.append(name)
        except SpecError as error:
            is_faulty = True
            show(error.diagnostics)
    if is_faulty or (only_check and changed):
        raise typer.Exit(FAULT)


def _format(name: str, *, only_check: bool) -> bool:
    """Whether the text was not canonical."""
    if name != STDIN and Path(name).suffix != ".peft":
        raise SpecError([OnlySpecs(name)])
    spec = spec_named(name)
    before, after = spec.span.source.text, format(spec)
    if only_check:
        if before != after:
            typer.echo(f"{_called(name)}: would change")
    elif name == STDIN:
        typer.echo(after, nl=False)
    elif before != after:
        write(Path(name), after)
        typer.echo(f"{name}: changed")
    return before != after


def _called(name: str) -> str:
    return "<stdin>" if name == STDIN else name
