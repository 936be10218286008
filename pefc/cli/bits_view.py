"""How a plan shows the base weights that it keeps in few bits."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from torch import nn

from ..compiler.packing import kept_bytes, plain_bytes
from ..compiler.plan import Packing, Plan
from .layers import collapsed, shape
from .sizes import size

_INDENT = 2


def bits_view(plan: Plan, model: nn.Module) -> Iterator[RenderableType]:
    """A statement with its weights, for each `quantize` of a plan."""
    groups: dict[object, list[Packing]] = {}
    for packing in plan.packings:
        groups.setdefault((id(packing.span.source), packing.span.start), []).append(packing)
    for packings in groups.values():
        yield _statement(packings, model)


def _statement(packings: Sequence[Packing], model: nn.Module) -> RenderableType:
    first = packings[0]
    title = Text("\n")
    title.append(" ".join(first.span.text.split()), style="bold cyan")
    title.append(f"   {first.span}", style="dim")
    before = sum(plain_bytes(packing, model) for packing in packings)
    after = sum(kept_bytes(packing) for packing in packings)
    there = sum(packing.is_there for packing in packings)
    words = [f"{len(packings)} weights", f"{size(before)} become {size(after)}"]
    biases = sum(packing.site.bias for packing in packings)
    words += [f"{biases} biases stay"] if biases else []
    words += [f"{there} arrived in this form"] if there else []
    lines = (Text(str(first.form)), Text("; ".join(words)), _drawn(packings))
    return Group(title, Padding(Group(*lines), (0, 0, 0, _INDENT)))


def _drawn(packings: Sequence[Packing]) -> Table:
    groups: dict[object, list[Packing]] = {}
    for packing in packings:
        site = packing.site
        groups.setdefault((shape(site.path), site.inputs, site.outputs), []).append(packing)
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    drawn.add_column("path", overflow="fold")
    drawn.add_column("weights", justify="right", no_wrap=True)
    drawn.add_column("features", no_wrap=True)
    drawn.add_column("bytes each", justify="right", no_wrap=True)
    for own in groups.values():
        site = own[0].site
        path = collapsed(packing.site.path for packing in own)
        features = f"{site.inputs} → {site.outputs}"
        drawn.add_row(path, str(len(own)), features, f"{kept_bytes(own[0]):,}")
    return drawn
