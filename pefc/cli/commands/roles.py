"""`pefc roles`: what is where in a model."""

import json

import typer
from rich.table import Table
from rich.text import Text

from ...compiler.model import Site, SiteTable
from ...compiler.roles import find_sites
from ..io.console import draw, working
from ..io.models import model_named
from ..views.paths import collapsed, shape, sliced


def roles(reference: str, *, as_json: bool) -> None:
    """Print every site of a model."""
    model = model_named(reference)
    with working("following the data"):
        table = find_sites(model)
    if as_json:
        typer.echo(json.dumps({"sites": [_entry(site) for site in table.sites]}, indent=1))
        return
    parts = [Text(_heading(table), style="bold"), Text(), _drawn(table)]
    warn_untraced(table)
    draw(*parts)


def warn_untraced(table: SiteTable) -> None:
    """Say on stderr that there are no roles, and why."""
    if not table.traced:
        typer.echo(
            f"warning: {table.model} could not be traced, so only its modules are known"
            f" ({table.reason})",
            err=True,
        )


def _entry(site: Site) -> dict[str, object]:
    return {
        "path": site.path,
        "kind": site.kind,
        "role": site.role,
        "slice": None if site.slice is None else [list(part) for part in site.slice],
        "layer": site.layer,
    }


def _heading(table: SiteTable) -> str:
    return f"{table.model}, {table.layers} layer{'' if table.layers == 1 else 's'}"


def _drawn(table: SiteTable) -> Table:
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("role", "kind"):
        drawn.add_column(name, no_wrap=True)
    drawn.add_column("sites", justify="right", no_wrap=True)
    drawn.add_column("features", no_wrap=True)
    drawn.add_column("path", overflow="fold")
    for sites in _groups(table):
        first = sites[0]
        path = collapsed(site.path for site in sites) + sliced(first)
        role = Text(first.role or "-", style="cyan" if first.role else "dim")
        drawn.add_row(role, first.kind, str(len(sites)), _features(first), path)
    return drawn


def _groups(table: SiteTable) -> list[list[Site]]:
    """Sites that differ in their layer alone, in the order of the first."""
    groups: dict[object, list[Site]] = {}
    for site in table.sites:
        key = (site.role, site.kind, shape(site.path), site.slice, site.inputs, site.outputs)
        groups.setdefault(key, []).append(site)
    return list(groups.values())


def _features(site: Site) -> str:
    if site.inputs is None or site.width is None:
        return ""
    return str(site.width) if site.kind == "norm" else f"{site.inputs} → {site.width}"
