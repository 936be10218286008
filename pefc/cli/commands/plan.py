"""`pefc plan`: what a spec would do to a model."""

import json
from dataclasses import asdict

import typer
from torch import nn

from ... import compiler
from ...compiler.measure import Memory, estimate, setup
from ...compiler.plan import Plan, remarks, report
from ..io.console import draw, working
from ..io.errors import show
from ..io.models import model_named
from ..io.specs import checked_spec
from ..views.plan import plan_view
from ..views.totals import memory_view
from .roles import warn_untraced


def plan(
    spec: str, reference: str, settings: tuple[str, ...], *, train: str | None, as_json: bool
) -> None:
    """Print the plan, and, where a setup of training is given, the memory that it takes."""
    step = None if train is None else setup(train)
    checked = checked_spec(spec, settings)
    model = model_named(reference)
    with working("planning"):
        made = compiler.plan(checked, model)
    memory = None
    if step is not None:
        with working("training without values"):
            memory = estimate(made, model, step)
    if as_json:
        typer.echo(json.dumps(_document(made, memory), indent=1, ensure_ascii=False))
        return
    remark(made)
    _draw(made, model, memory)


def remark(plan: Plan) -> None:
    """Show on stderr what is legal and probably not meant."""
    show(plan.checked.warnings)
    warn_untraced(plan.table)
    show(remarks(plan))


def _document(plan: Plan, memory: Memory | None) -> dict[str, object]:
    return report(plan) if memory is None else {**report(plan), "memory": _report(memory)}


def _report(memory: Memory) -> dict[str, object]:
    """The parts in bytes, and what they were told for."""
    parts = asdict(memory)
    step = parts.pop("setup")
    step["dtype"] = str(step["dtype"]).removeprefix("torch.")
    return {**parts, "sum": memory.sum, "step": step}


def _draw(plan: Plan, model: nn.Module, memory: Memory | None) -> None:
    parts = plan_view(plan, model)
    draw(*parts, *([] if memory is None else [memory_view(memory)]))
