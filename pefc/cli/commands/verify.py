"""`pefc verify`: what the plan promises, as it is on this model."""

from collections.abc import Iterable

import typer
from rich.table import Table
from rich.text import Text

from ...compiler.link import tokenize_as
from ...compiler.measure import Measured
from ...compiler.measure import verify as measure
from ..io.console import draw, working
from ..io.errors import FAULT, show
from ..io.models import base_named
from ..io.specs import checked_spec


def verify(spec: str, reference: str, settings: tuple[str, ...]) -> None:
    """Print what was measured; the status is 1 if something does not hold."""
    checked = checked_spec(spec, settings)
    show(checked.warnings)
    model = base_named(reference, checked)
    with working("measuring"):
        found = tuple(measure(checked, model, tokenize_as(reference)))
    draw(_drawn(found))
    broken = [entry for entry in found if not entry.holds]
    if broken:
        names = ", ".join(entry.what for entry in broken)
        typer.echo(f"error: does not hold on {type(model).__name__}: {names}", err=True)
        raise typer.Exit(FAULT)


def _drawn(found: Iterable[Measured]) -> Table:
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    drawn.add_column("", no_wrap=True)
    drawn.add_column("what", no_wrap=True)
    drawn.add_column("promised")
    drawn.add_column("measured", justify="right", no_wrap=True)
    drawn.add_column("at most", justify="right", no_wrap=True)
    for entry in found:
        drawn.add_row(
            _sign(entry), entry.what, _promise(entry), _figure(entry.found), _figure(entry.bound)
        )
    return drawn


def _sign(entry: Measured) -> Text:
    if not entry.holds:
        return Text("fails", style="bold red")
    return Text("holds", style="green") if entry.found is not None else Text("-", style="dim")


def _promise(entry: Measured) -> Text:
    text = Text(entry.promised)
    if entry.remark:
        text.append(f"\n{entry.remark}", style="dim" if entry.holds else "red")
    return text


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value == int(value) else f"{value:.1e}"
