"""`pefc explain`, `pefc methods`, `pefc schema`: what can be looked up without a spec."""

import json
from textwrap import fill

import typer

from ...dsl import manual
from ...dsl.diagnostics.commands import UnknownEntry
from ...dsl.diagnostics.report import SpecError

WIDTH = 80


def explain(word: str) -> None:
    """Print a manual entry. Raises SpecError where there is none."""
    code = word.removeprefix("error[").removesuffix("]")
    text = manual.explain(code)
    if text is None:
        raise SpecError([UnknownEntry(word, manual.near(code))])
    typer.echo(text, nl=False)


def methods() -> None:
    """Print the signature of everything that ships, with what it says of itself below."""
    for signature, summary in manual.methods():
        typer.echo(_wrapped(signature, hanging=8))
        if summary:
            typer.echo(_wrapped(summary, first=4, hanging=4))


def schema() -> None:
    """Print the JSON schema of the structured form."""
    from ...dsl.config.schema import schema as of_structures

    typer.echo(json.dumps(of_structures(), indent=2, ensure_ascii=False))


def _wrapped(text: str, *, hanging: int, first: int = 0) -> str:
    return fill(
        text,
        WIDTH,
        initial_indent=" " * first,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
