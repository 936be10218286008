"""`pefc plan`: what a spec would do to a model."""

import json

import typer

from .. import compiler
from ..compiler.plan import Plan
from ..compiler.report import report
from .console import draw, working
from .failing import show
from .models import model_named
from .plan_view import plan_view
from .roles import warn_untraced
from .specs import checked_spec


def plan(spec: str, reference: str, settings: tuple[str, ...], *, as_json: bool) -> None:
    """Print the plan."""
    checked = checked_spec(spec, settings)
    model = model_named(reference)
    with working("planning"):
        made = compiler.plan(checked, model)
    if as_json:
        typer.echo(json.dumps(report(made), indent=1, ensure_ascii=False))
        return
    remark(made)
    draw(*plan_view(made, model))


def remark(plan: Plan) -> None:
    """Show on stderr what is legal and probably not meant."""
    show(plan.checked.warnings)
    warn_untraced(plan.table)
