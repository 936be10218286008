"""The sums of a plan: what trains, how large the adapter is, and which roles it reaches."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod

import torch
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from torch import nn

from ...compiler.link import beside
from ...compiler.measure import Memory, Setup
from ...compiler.plan import Plan, Planned, tensor_dtype
from .paths import size

_ADAM = 3
"""Numbers beside each trained parameter: its gradient and two moments."""


def totals(plan: Plan, model: nn.Module) -> RenderableType:
    """The lines below a plan."""
    saved, trained = _bytes(plan, model)
    share = plan.trainable / plan.total if plan.total else 0
    lines = {
        "trains": f"{plan.trainable:,} of {plan.total:,} parameters ({share:.3%})",
        **_stays(plan),
        "adapter": f"{size(sum(saved.values()))} on disk, {_dtypes(saved)}",
        "training": f"{size(_ADAM * trained)} for gradients and the two moments of Adam",
        **_added(plan),
        **_coverage(plan),
    }
    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column()
    for name, text in lines.items():
        drawn.add_row(name, text)
    return Group(Text(), drawn)


def _stays(plan: Plan) -> dict[str, str]:
    """The linear maps that a plan with quantized weights leaves in floating point."""
    if not plan.packings:
        return {}
    left = Counter((each.site.role or "other", each.tied) for each in plan.floating)
    maps = [
        f"{role} {count}" + (f" (tied to {tied})" if tied else "")
        for (role, tied), count in left.items()
    ]
    maps = ", ".join(maps) or "no linear map"
    return {"stays": f"in floating point: {maps}, embeddings, norms and biases"}


def _bytes(plan: Plan, model: nn.Module) -> tuple[Mapping[str, int], int]:
    """Bytes in the adapter file by dtype, and of what trains."""
    tensors: dict[str, tuple[str, int, bool]] = {}
    for planned in plan.attachments:
        weight = beside(model, planned.home)
        for tensor in planned.tensors:
            dtype = tensor_dtype(planned, tensor, weight)
            count = prod(tensor.shape) * dtype.itemsize
            tensors.setdefault(planned.path(tensor), (_name(dtype), count, not tensor.frozen))
    for tuned in plan.tuned:
        parameter = model.get_parameter(tuned.name)
        tensors[tuned.name] = (
            _name(parameter.dtype),
            parameter.numel() * parameter.element_size(),
            True,
        )
    saved: dict[str, int] = {}
    for dtype, count, _ in tensors.values():
        saved[dtype] = saved.get(dtype, 0) + count
    return saved, sum(count for _, count, trains in tensors.values() if trains)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _dtypes(saved: Mapping[str, int]) -> str:
    return " and ".join(saved) if saved else "without tensors"


def _added(plan: Plan) -> dict[str, str]:
    """What the spec adds to the work of a token, and to the length of sequences."""
    costs = [planned.verdict.costs for planned in plan.attachments]
    if not any((cost.operations, cost.keys, cost.tokens) != (0, 0, 0) for cost in costs):
        return {}
    operations = _most(plan, lambda planned: planned.verdict.costs.operations)
    linear = {s.path: s for s in plan.table.sites if s.kind == "linear"}
    base = sum((site.inputs or 0) * (site.outputs or 0) for site in linear.values())
    share = f" ({operations / base:.1%} of those of its linear maps)" if base else ""
    parts = [f"{operations:,} multiplications a token{share}"] if operations else []
    attentions = {planned.home for planned in plan.attachments if planned.verdict.costs.keys}
    keys = [_most(plan, partial(_keys, home=home)) for home in attentions]
    if keys:
        parts.append(f"up to {max(keys)} keys in an attention, outside of its cache")
    if tokens := _most(plan, lambda planned: planned.verdict.costs.tokens):
        parts.append(f"{tokens} tokens in every layer and cache")
    if plan.tasks:
        parts.append("in the task that adds most")
    return {"adds": "; ".join(parts)}


def _most(plan: Plan, cost: Callable[[Planned], int]) -> int:
    """A sum over all that runs for one row: what belongs to no task, and to the costliest one."""
    sums = Counter[str | None]()
    for planned in plan.attachments:
        sums[planned.task] += cost(planned)
    tasks = [sums[task] for task in plan.tasks]
    return sums[None] + max(tasks, default=0)


def _keys(planned: Planned, home: str) -> int:
    return planned.verdict.costs.keys if planned.home == home else 0


def _coverage(plan: Plan) -> dict[str, str]:
    """How many of the linear maps of each role the spec reaches."""
    everywhere = Counter(
        site.role for site in plan.table.sites if site.kind == "linear" and site.role
    )
    sites = [planned.site for planned in plan.attachments] + [tuned.site for tuned in plan.tuned]
    places = {(site.path, site.slice, site.role) for site in sites}
    reached = Counter(role for _, _, role in places)
    parts = [
        f"{role} {reached[role]}/{count}" for role, count in everywhere.items() if reached[role]
    ]
    missed = [f"{role} {count}" for role, count in everywhere.items() if not reached[role]]
    lines = {"reaches": ", ".join(parts), "leaves": ", ".join(missed)}
    return {name: text for name, text in lines.items() if text}


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
