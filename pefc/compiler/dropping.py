"""`adapterdrop`: how many of the first layers go without what it holds."""

from collections.abc import Sequence
from itertools import count

from ..dsl.checked import Modified, leaves
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.dropping import TooManyDropped
from .parts import task_of
from .plan import Dropping


def dropped(step: Modified, layers: int, earlier: Sequence[Dropping]) -> Dropping:
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
    return Dropping(numbers, fixed, _seed(step, {each.seed for each in earlier}))


def _seed(step: Modified, taken: set[str]) -> str:
    """The number of the statement among those of its task."""
    task = next(map(task_of, leaves(step.body)), None)
    seeds = (f"{number}" if task is None else f"{task} {number}" for number in count())
    return next(seed for seed in seeds if seed not in taken)
