"""How a plan looks: its statements with their sites, a row for many layers, then the totals."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from torch import nn

from ...compiler.lower import Declared
from ...compiler.model import Site
from ...compiler.plan import Packing, Plan, Planned, Tuned, kept_bytes, plain_bytes
from ...compiler.prove import Costs, Identity, Need, Verdict
from ...dsl.manual import departure
from ...dsl.syntax.source import Span
from ..io.console import width
from .paths import collapsed, shape, size, sliced
from .totals import totals


def bits_view(plan: Plan, model: nn.Module) -> Iterator[RenderableType]:
    """A statement with its weights, for each `quantize` of a plan."""
    groups: dict[object, list[Packing]] = {}
    for packing in plan.packings:
        groups.setdefault((id(packing.span.source), packing.span.start), []).append(packing)
    for packings in groups.values():
        yield _quantized_statement(packings, model)


def _quantized_statement(packings: Sequence[Packing], model: nn.Module) -> RenderableType:
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
    lines = (Text(str(first.form)), Text("; ".join(words)), _quantized_modules(packings))
    return Group(title, Padding(Group(*lines), (0, 0, 0, _INDENT)))


def _quantized_modules(packings: Sequence[Packing]) -> Table:
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


_INDENT = 2
_UNTOUCHED = Verdict(Identity.EXACT, merges=True, needs=Need.NOTHING, costs=Costs(0))
"""Of a statement that only trains what is there."""


@dataclass(frozen=True, slots=True)
class Row:
    """What a statement does at sites that differ in their layer alone."""

    span: Span
    numbers: str
    """The hyper-parameters, with their values."""
    verdict: Verdict
    site: Site
    """The first one."""
    path: str
    count: int
    tensors: tuple[str, ...]
    parameters: int
    task: str | None = None
    departure: str = ""
    """Where the method is not that of its paper."""


def plan_view(plan: Plan, model: nn.Module) -> tuple[RenderableType, ...]:
    """The parts of the plan, from top to bottom."""
    heading = f"{plan.model}, {plan.table.layers} layers, {plan.total:,} parameters"
    rows = [*_attached(plan), *_tuned(plan, model)]
    return (
        Text(heading, style="bold"),
        *bits_view(plan, model),
        *(_statement(own) for own in _grouped(rows, lambda row: _key(row.span))),
        _terms(plan),
        totals(plan, model),
    )


def _attached(plan: Plan) -> Iterator[Row]:
    groups: dict[object, list[Planned]] = {}
    for planned in plan.attachments:
        site = planned.site
        place = (site.role, shape(site.path), site.slice, site.inputs, site.outputs)
        groups.setdefault(
            (*_key(planned.span), planned.label, planned.verdict, planned.merges, place), []
        ).append(planned)
    for members in groups.values():
        first = members[0]
        sizes = {p.path(t): prod(t.shape) for p in members for t in p.tensors if not t.frozen}
        yield Row(
            first.span,
            _numbers(first),
            replace(first.verdict, merges=first.merges),
            first.site,
            collapsed(planned.site.path or planned.home for planned in members)
            + sliced(first.site),
            len(members),
            tuple(_tensor(tensor) for tensor in first.tensors),
            sum(sizes.values()),
            first.task,
            departure(first.method.attachment.method),
        )


def _tuned(plan: Plan, model: nn.Module) -> Iterator[Row]:
    groups: dict[object, list[Tuned]] = {}
    for tuned in plan.tuned:
        dims = tuple(model.get_parameter(tuned.name).shape)
        groups.setdefault((*_key(tuned.span), tuned.site.role, shape(tuned.name), dims), []).append(
            tuned
        )
    for members in groups.values():
        first = members[0]
        name = first.name.rpartition(".")[2]
        dims = list(model.get_parameter(first.name).shape)
        path = collapsed(tuned.site.path for tuned in members)
        size = sum(tuned.size for tuned in members)
        yield Row(
            first.span, "", _UNTOUCHED, first.site, path, len(members), (f"{name} {dims}",), size
        )


def _key(span: Span) -> tuple[object, ...]:
    outer = None if span.via is None else _key(span.via)
    return id(span.source), span.start, span.stop, outer


def _numbers(planned: Planned) -> str:
    numbers = planned.method.numbers
    names = [parameter.name for parameter in planned.method.attachment.method.parameters]
    return ", ".join(f"{name}={_number(numbers[name])}" for name in names)


def _number(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def _tensor(tensor: Declared) -> str:
    marks = [
        mark
        for mark, holds in (("frozen", tensor.frozen), (f"per {tensor.scope}", tensor.scope))
        if holds
    ]
    remark = f" ({', '.join(marks)})" if marks else ""
    return f"{tensor.name} {list(tensor.shape)}{remark}"


def _grouped(rows: Sequence[Row], key: Callable[[Row], object]) -> list[list[Row]]:
    groups: dict[object, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return list(groups.values())


def _statement(rows: Sequence[Row]) -> RenderableType:
    """A statement, and a table for each of its verdicts."""
    span = rows[0].span
    title = Text("\n")
    if rows[0].task is not None:
        title.append(f"task {rows[0].task}: ", style="cyan")
    title.append(" ".join(span.text.split()), style="bold cyan")
    title.append(f"   {span}", style="dim")
    parts = [_part(own) for own in _grouped(rows, lambda row: (_promised(row), row.numbers))]
    if rows[0].departure:
        parts.insert(0, Text(f"note: {rows[0].departure}"))
    return Group(title, *(Padding(part, (0, 0, 0, _INDENT)) for part in parts))


def _promised(row: Row) -> tuple[object, ...]:
    """What is said of a site; how much it costs may differ from row to row."""
    verdict = row.verdict
    return verdict.identity, verdict.merges, verdict.lacks_bias, verdict.needs, verdict.costs.keys


def _part(rows: Sequence[Row]) -> RenderableType:
    numbers = [Text(rows[0].numbers)] if rows[0].numbers else []
    return Group(*numbers, Text(_promise(rows)), _drawn(rows))


def _promise(rows: Sequence[Row]) -> str:
    verdict = rows[0].verdict
    kinds = " and ".join(dict.fromkeys(row.site.kind for row in rows))
    count = sum(row.count for row in rows)
    sites = f"{count} {kinds} site{'' if count == 1 else 's'}"
    merges = "merges" if verdict.merges else "does not merge"
    merges += ", for want of a bias" if verdict.lacks_bias else ""
    needs = f"needs {_NEEDS[verdict.needs.value]}" if "linear" in kinds else ""
    parts = (sites, f"identity {verdict.identity.value}", merges, needs, _added(rows))
    return "; ".join(part for part in parts if part)


def _added(rows: Sequence[Row]) -> str:
    """What the sites of a statement add to the work of each token."""
    first = rows[0].verdict.costs
    operations = sum(row.count * row.verdict.costs.operations for row in rows)
    added = [f"{operations:,} multiplications a token"] if operations else []
    added += [f"{first.keys} keys at each site"] if first.keys else []
    added += [f"{first.tokens} tokens before the text"] if first.tokens else []
    return f"adds {' and '.join(added)}" if added else ""


_NEEDS = {
    "nothing": "nothing of the base weight",
    "product": "products with the base weight",
    "values": "the values of the base weight",
}


def _drawn(rows: Sequence[Row]) -> Table:
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    drawn.add_column("role", no_wrap=True)
    drawn.add_column("path", overflow="fold")
    drawn.add_column("sites", justify="right", no_wrap=True)
    drawn.add_column("tensors", no_wrap=True)
    drawn.add_column("parameters", justify="right", no_wrap=True)
    between = ", " if _fits(rows) else "\n"
    for row in rows:
        tensors = between.join(row.tensors)
        drawn.add_row(
            row.site.role or "-", row.path, str(row.count), tensors, f"{row.parameters:,}"
        )
    return drawn


def _fits(rows: Sequence[Row]) -> bool:
    """Whether the tensors of every row stand on one line."""
    roles = max(len(row.site.role or "-") for row in rows)
    paths = max(len(row.path) for row in rows)
    tensors = max(len(", ".join(row.tensors)) for row in rows)
    others = (
        _INDENT
        + len("sites")
        + max(len("parameters"), *(len(f"{row.parameters:,}") for row in rows))
    )
    return roles + paths + tensors + others + 2 * 4 <= width()


def _terms(plan: Plan) -> RenderableType:
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    drawn.add_column("selector")
    drawn.add_column("sites matched", justify="right")
    for term in plan.terms:
        drawn.add_row(term.text, str(term.matched))
    return Group(Text(), drawn) if plan.terms else Text()
