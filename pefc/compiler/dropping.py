"""`adapterdrop`: how many of the first layers go without what it holds."""

from ..dsl.checked import Modified
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.dropping import TooManyDropped
from .plan import Dropping


def dropped(step: Modified, layers: int) -> Dropping:
    """The numbers of a statement. Raises SpecError where they are more than a model has layers, if
    any are known.
    """
    given = dict(step.arguments)
    numbers, fixed = given["layers"], given.get("eval", 0)
    assert isinstance(numbers, range)
    assert isinstance(fixed, int)
    most = max(numbers[-1], fixed)
    if layers and most > layers:
        raise SpecError([TooManyDropped(step.span, most, layers)])
    return Dropping(numbers, fixed)
