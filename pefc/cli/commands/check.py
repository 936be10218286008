"""`pefc check`: every mistake of every spec that is named."""

import typer

from ...dsl.checker.check import check as check_spec
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ..io.errors import FAULT, Style, document, show
from ..io.specs import overrides, spec_named


def check(names: tuple[str, ...], settings: tuple[str, ...], style: Style) -> None:
    """Print what was found, or that there was nothing. JSON is the result, and goes to stdout."""
    values = overrides(settings)
    found: list[Diagnostic] = []
    for name in names:
        try:
            checked = check_spec(spec_named(name), overrides=values)
        except SpecError as error:
            found.extend(error.diagnostics)
            continue
        found.extend(checked.warnings)
        if style is Style.FULL:
            typer.echo(f"{name}: {_counted(len(checked.spec.statements))}, no mistakes")
    if style is Style.JSON:
        typer.echo(document(found))
    else:
        show(found, style)
    if any(diagnostic.severity == "error" for diagnostic in found):
        raise typer.Exit(FAULT)


def _counted(statements: int) -> str:
    return f"{statements} statement{'' if statements == 1 else 's'}"
