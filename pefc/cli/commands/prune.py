"""`pefc prune`: the adapter folder of a fusion, with fewer tasks at each place."""

from collections.abc import Iterable
from pathlib import Path

import typer
from rich.table import Table

from ...compiler.adapted import Kept, load
from ...compiler.adapted import prune as pruned
from ...compiler.state import read, save
from ..io.console import draw, working
from ..io.errors import show
from ..io.models import base_named, batches_named
from ..views.paths import size


def prune(
    adapter: Path, reference: str, data: str, *, keep: int, out: Path, other_base: bool
) -> None:
    """Write the folder that `pefc.load` reads, and say which tasks stay where."""
    model = base_named(reference, read(adapter).checked)
    show(load(model, adapter, other_base=other_base))
    batches = batches_named(data)
    with working("measuring"):
        kept = pruned(model, batches, keep)
    show(save(model, out, resume=True, task=None))
    draw(_drawn(kept))
    written = sum(path.stat().st_size for path in out.iterdir())
    typer.echo(f"\n{out}: {len(kept)} fusions of at most {keep} tasks, {size(written)}")


def _drawn(kept: Iterable[Kept]) -> Table:
    """A line for each fusion, with the mean weights of the tasks that stay and that leave."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    drawn.add_column("layer", justify="right", no_wrap=True)
    drawn.add_column("path")
    drawn.add_column("keeps")
    drawn.add_column("leaves out")
    for each in kept:
        layer = "-" if each.site.layer is None else str(each.site.layer)
        stays = [entry for entry in each.weights if entry[0] in each.tasks]
        leaves = [entry for entry in each.weights if entry[0] not in each.tasks]
        drawn.add_row(layer, each.path, _listed(stays), _listed(leaves))
    return drawn


def _listed(weights: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{task} {weight:.2f}" for task, weight in weights)
