"""Graphs as text: for each kind of module what it was, the formula, and what runs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..compiler.listing import Line, listing
from ..compiler.lower import plain_patch
from ..compiler.plan import Patched, Plan
from ..compiler.program import Program
from .layers import collapsed

BEFORE, FORMULA, AFTER = "before", "after, as the formula says it", "after, as it runs"


@dataclass(frozen=True, slots=True)
class Part:
    """Modules that have one patch, and what they compute."""

    path: str
    title: str
    """The class, and the features in and out."""
    methods: tuple[str, ...]
    tensors: tuple[str, ...]
    """The names of the tensors that were added, as the lines have them."""
    stages: tuple[tuple[str, tuple[Line, ...]], ...]


def parts(program: Program, modules: Iterable[Patched]) -> tuple[Part, ...]:
    """The kinds of patched modules, each once."""
    groups: dict[object, list[Patched]] = {}
    for patched in modules:
        groups.setdefault(patched.key, []).append(patched)
    return tuple(_part(program, members) for members in groups.values())


def _part(program: Program, members: Sequence[Patched]) -> Part:
    first = members[0]
    facts = first.facts
    site = first.members[0].site
    bias = ", with a bias" if facts.bias else ""
    patches = program.patches
    return Part(
        collapsed(patched.path for patched in members),
        f"{site.class_name}, {facts.inputs} → {facts.outputs}{bias}",
        tuple(planned.label for planned in first.members),
        tuple(
            f"{planned.member.prefix}.{tensor.name}"
            for planned in first.members
            if planned.member is not None
            for tensor in planned.tensors
        ),
        (
            (BEFORE, listing(plain_patch(facts, ()))),
            (FORMULA, listing(patches.plain(first))),
            (AFTER, listing(patches.fast(first))),
        ),
    )


def graph_view(plan: Plan, shown: Sequence[Part]) -> tuple[RenderableType, ...]:
    """All parts, one below the other."""
    heading = f"{plan.model}: {len(plan.modules)} modules are patched"
    return Text(heading, style="bold"), *(_drawn(part) for part in shown)


def _drawn(part: Part) -> RenderableType:
    title = Text("\n")
    title.append(part.path, style="bold cyan")
    title.append(f"   {part.title}", style="dim")
    return Group(title, *_stages(part))


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
