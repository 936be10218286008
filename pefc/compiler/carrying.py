"""Whether a model carries the spec that its user means."""

from torch import nn

from ..dsl.checked import Checked
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.training import AnotherSpec
from .attached import attached
from .plan import Plan
from .saving import spec_text


def check_carried(checked: Checked, model: nn.Module) -> None:
    """Raise SpecError where a model carries no spec, or another one. Specs are compared as they
    would be saved, so that layout, recipes and names of constants make no difference.
    """
    plan = attached(model).plan
    assert isinstance(plan, Plan)
    given, carried = (spec_text(each).splitlines() for each in (checked, plan.checked))
    if given == carried:
        return
    asked = next((line for line in given if line not in carried), None)
    there = next((line for line in carried if line not in given), None)
    raise SpecError([AnotherSpec(type(model).__name__, asked, there)])
