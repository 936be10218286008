"""What is at fault, on stderr, and the status that the command then ends with."""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from enum import StrEnum
from typing import Self

import typer

from ..dsl.diagnostics.core import Diagnostic, SpecError

FAULT = 1
"""The exit status where the spec or the model is at fault; 2 is wrong usage."""


SHOWN = 200
"""Diagnostics that are shown in full; a file with more has one mistake many times."""


class Style(StrEnum):
    """How diagnostics are shown."""

    FULL = "full"
    LINE = "line"
    JSON = "json"

    @classmethod
    def of(cls, *, json: bool) -> Self:
        return cls("json" if json else "full")


@contextmanager
def reported(style: Style = Style.FULL) -> Generator[None]:
    """Diagnostics raised inside are shown, and end the command."""
    try:
        yield
    except SpecError as error:
        show(error.diagnostics, style)
        raise typer.Exit(FAULT) from None


def show(diagnostics: Iterable[Diagnostic], style: Style = Style.FULL) -> None:
    """Print diagnostics to stderr; JSON is one document."""
    found = tuple(diagnostics)
    if not found:
        return
    if style is Style.JSON:
        typer.echo(document(found), err=True)
        return
    from .paint import painted, wants_colour

    text = _text(found, style)
    typer.echo(painted(text) if wants_colour() else text, err=True, color=True)


def _text(diagnostics: tuple[Diagnostic, ...], style: Style) -> str:
    """Diagnostics for people; full ones with blank lines between them, and their count."""
    from ..dsl.render import full, line

    if style is Style.LINE:
        return "\n".join(map(line, diagnostics))
    blocks = [full(diagnostic).rstrip() for diagnostic in diagnostics[:SHOWN]]
    if len(diagnostics) > SHOWN:
        blocks.append(f"the first {SHOWN} are shown; `--format line` shows all")
    return "\n\n".join([*blocks, _summary(diagnostics)] if len(blocks) > 1 else blocks)


def _summary(diagnostics: tuple[Diagnostic, ...]) -> str:
    """How many errors and warnings there are."""
    errors = sum(diagnostic.severity == "error" for diagnostic in diagnostics)
    counts = ((errors, "error"), (len(diagnostics) - errors, "warning"))
    return ", ".join(f"{n} {word}{'s' if n > 1 else ''}" for n, word in counts if n)


def document(diagnostics: Iterable[Diagnostic]) -> str:
    """Diagnostics as one JSON document."""
    import json

    from ..dsl.render import as_json

    found = [as_json(diagnostic) for diagnostic in diagnostics]
    return json.dumps({"diagnostics": found}, indent=1, ensure_ascii=False)
