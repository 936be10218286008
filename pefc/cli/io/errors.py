"""What is at fault, on stderr, and the status that the command then ends with."""

import warnings
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from enum import StrEnum
from typing import Self, TextIO

import typer

from ...dsl.diagnostics.report import Diagnostic, SpecError, SpecWarning

FAULT = 1
"""The exit status where the spec or the model is at fault; 2 is wrong usage."""


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
    """Diagnostics raised inside are shown, and end the command; those that are warned of are shown
    when it ends.
    """
    mistakes: tuple[Diagnostic, ...] = ()
    with _heard() as found:
        try:
            yield
        except SpecError as error:
            mistakes = error.diagnostics
            raise typer.Exit(FAULT) from None
        finally:
            show((*found, *mistakes), style)


@contextmanager
def _heard() -> Generator[list[Diagnostic]]:
    """The diagnostics that are warned of inside, each once."""
    found: list[Diagnostic] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=SpecWarning)
        others = warnings.showwarning

        def hear(
            message: Warning | str,
            category: type[Warning],
            filename: str,
            lineno: int,
            file: TextIO | None = None,
            line: str | None = None,
        ) -> None:
            if not isinstance(message, SpecWarning):
                others(message, category, filename, lineno, file, line)
            elif message.diagnostic not in found:
                found.append(message.diagnostic)

        warnings.showwarning = hear
        yield found


def show(diagnostics: Iterable[Diagnostic], style: Style = Style.FULL) -> None:
    """Print diagnostics to stderr; JSON is one document."""
    found = tuple(diagnostics)
    if not found:
        return
    if style is Style.JSON:
        typer.echo(document(found), err=True)
        return
    from .color import painted, wants_colour

    text = _text(found, style)
    typer.echo(painted(text) if wants_colour() else text, err=True, color=True)


def _text(diagnostics: tuple[Diagnostic, ...], style: Style) -> str:
    """Diagnostics for people."""
    from ...dsl.diagnostics.render import line, report

    if style is Style.LINE:
        return "\n".join(map(line, diagnostics))
    return report(diagnostics, "`--format line` shows all")


def document(diagnostics: Iterable[Diagnostic]) -> str:
    """Diagnostics as one JSON document."""
    import json

    from ...dsl.diagnostics.render import as_json

    found = [as_json(diagnostic) for diagnostic in diagnostics]
    return json.dumps({"diagnostics": found}, indent=1, ensure_ascii=False)
