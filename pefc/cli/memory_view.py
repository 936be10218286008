"""How the memory of a step of training looks: its parts, and their sum."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ..compiler.memory import Memory, Setup
from .sizes import size

_INDENT = 2


def memory_view(memory: Memory) -> RenderableType:
    """The part of a plan that `--train` adds."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    drawn.add_column(no_wrap=True)
    drawn.add_column(justify="right", no_wrap=True)
    drawn.add_column()
    for name, count, remark in _rows(memory):
        drawn.add_row(name, size(count), Text(remark, style="dim"))
    title = Text("\nmemory", style="bold cyan")
    title.append(f"   {_setup(memory.setup)}", style="dim")
    return Group(title, Padding(drawn, (0, 0, 0, _INDENT)))


def _rows(memory: Memory) -> Iterator[tuple[str, int, str]]:
    parts = sorted(memory.base.items(), key=lambda part: -part[1])
    kinds = [f"{size(count)} {kind}" for kind, count in parts]
    yield "base", sum(memory.base.values()), ", ".join(kinds) if len(kinds) > 1 else parts[0][0]
    if memory.copies:
        yield "copies", memory.copies, "of what `tune` trains and of buffers, for `remove`"
    yield "adapter", memory.adapter, ""
    yield "gradients", memory.gradients, ""
    yield "optimizer", memory.optimizer, memory.setup.optimizer
    yield "activations", memory.activations, "at their most, in one step"
    yield "sum", memory.sum, ""


def _setup(setup: Setup) -> str:
    words = [f"batch={setup.batch}", f"len={setup.length}"]
    words += ["checkpointing"] * setup.checkpointing + ["padding"] * setup.padding
    return ", ".join(words)
