"""Whether a model carries the spec that is meant."""

from collections.abc import Iterator

from torch import nn

from ...dsl.checked import Checked
from ...dsl.diagnostics.report import SpecError
from ...dsl.diagnostics.training import AnotherSpec
from ...runtime.patched import outlined
from ..plan import Plan, Planned, attached
from ..plan import plan as planned_on
from .save import spec_text

Unlike = tuple[str | None, str | None]
"""A line that stands in one spec alone, and one that stands in the other alone."""


def check_carried(checked: Checked, model: nn.Module) -> None:
    """Raise SpecError where a model carries no spec, or another one."""
    plan = attached(model).plan
    assert isinstance(plan, Plan)
    found = unlike(checked, plan, model)
    if found is not None:
        raise SpecError([AnotherSpec(type(model).__name__, *found)])


def unlike(checked: Checked, plan: Plan, model: nn.Module) -> Unlike | None:
    """Where a spec does other things to a model than the plan that it carries; None where it does
    not, in whatever words it is written.
    """
    given, carried = (spec_text(each).splitlines() for each in (checked, plan.checked))
    if given == carried or _does_the_same(checked, plan, model):
        return None
    asked = next((line for line in given if line not in carried), None)
    there = next((line for line in carried if line not in given), None)
    return asked, there


def _does_the_same(checked: Checked, plan: Plan, model: nn.Module) -> bool:
    try:
        return _deeds(planned_on(checked, outlined(model))) == _deeds(plan)
    except SpecError:
        return False


def _deeds(plan: Plan) -> tuple[object, ...]:
    """What a plan does, module by module."""
    at: dict[str, list[object]] = {}
    for planned in plan.attachments:
        at.setdefault(planned.home, []).append(tuple(_deed(planned)))
    tuned = {each.name: each.settings for each in plan.tuned}
    packed = {packing.site.path: packing.form for packing in plan.packings}
    return at, tuned, packed, set(plan.tasks), plan.fused, plan.drops, plan.shift


def _deed(planned: Planned) -> Iterator[object]:
    method = planned.method
    yield planned.label, planned.task, planned.member.gated, planned.dropping
    yield planned.site.slice, planned.settings
    yield method.attachment.method, dict(method.numbers)
