"""Where Rich draws: tables on stdout, progress on stderr. Nothing is cut off in a file."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager

import typer
from rich.console import Console, RenderableType

UNBOUNDED = 2000
"""Columns where there is no terminal to fit."""


def draw(*parts: RenderableType) -> None:
    """Print to stdout, in the width of the terminal, with no blanks at the ends of lines."""
    console = _console()
    with console.capture() as captured:
        for part in parts:
            console.print(part)
    text = captured.get()
    typer.echo("\n".join(line.rstrip() for line in text.splitlines()), color=True)


def width() -> int:
    """The columns that `draw` has."""
    return _console().width


@contextmanager
def working(what: str) -> Generator[None]:
    """Says on stderr what takes long, while it takes long, if somebody is looking."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield


def _console() -> Console:
    bounded = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console(highlight=False, soft_wrap=False, width=None if bounded else UNBOUNDED)
