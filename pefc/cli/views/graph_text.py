"""Graphs as text: for each kind of module what it reads, what it was, the formula, what runs."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...compiler.ops import Line
from ...compiler.plan import Plan
from .graph_parts import Part


def graph_view(plan: Plan, shown: Sequence[Part]) -> tuple[RenderableType, ...]:
    """All parts, one below the other."""
    heading = f"{plan.model}: {len(plan.modules)} modules are patched"
    return Text(heading, style="bold"), *(_drawn(part) for part in shown)


def _drawn(part: Part) -> RenderableType:
    title = Text("\n")
    title.append(part.path, style="bold cyan")
    title.append(f"   {part.title}", style="dim")
    reads = (Padding(Text(line, style="dim"), (0, 0, 0, 2)) for line in part.reads)
    return Group(title, *reads, *_stages(part))


def _stages(part: Part) -> Iterator[RenderableType]:
    for name, lines in part.stages:
        yield Padding(Text(name, style="dim"), (0, 0, 0, 2))
        yield Padding(_table(lines, part.tensors), (0, 0, 0, 4))


def _table(lines: Sequence[Line], added: Sequence[str]) -> Table:
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True)
    drawn.add_column()
    drawn.add_column(style="dim", no_wrap=True)
    for line in lines:
        text = Text(f"= {line.expression}")
        for name in added:
            text.highlight_words([name], "green")
        drawn.add_row(line.name, text, line.shape)
    return drawn
