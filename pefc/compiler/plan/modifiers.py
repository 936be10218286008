"""Fusion: attention over what the adapters of several tasks change at one place."""

from collections.abc import Sequence
from itertools import count

from ...dsl.checked import Attachment, Fusion, Modified, leaves, task_of
from ...dsl.diagnostics.adapterdrop import TooManyDropped
from ...dsl.diagnostics.compiling import NotCompiled
from ...dsl.diagnostics.fusion import FusionWithout
from ...dsl.diagnostics.report import SpecError
from ...dsl.parsing import library
from ...dsl.syntax.vocabulary import FUSION
from ..lower import BlockFacts, Member
from .placement import Place
from .plan import Dropping, Planned


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


LABEL = "fuse"
_METHOD = "adapter_fusion"


def fusing(step: Fusion, modifier: str | None) -> Attachment:
    """What a `fuse` statement attaches. Raises SpecError where a modifier stands around it."""
    if modifier is not None:
        raise SpecError([NotCompiled(step.span, f"`fuse` inside of `{modifier}`")])
    method = library.method(_METHOD)
    assert method is not None
    arguments = (("members", step.members),)
    return Attachment(method, arguments, step.selection, LABEL, None, (), FUSION, step.span)


Parts = tuple[tuple[str, tuple[Member, ...]], ...]


def parts(step: Fusion, where: Place, attachments: Sequence[Planned]) -> Parts:
    """The methods of each task at the place of a fusion.

    Raises SpecError where a task has none there, or may go without them.
    """
    found: list[tuple[str, tuple[Member, ...]]] = []
    for task in step.members:
        own = [planned for planned in attachments if planned.task == task]
        here = [p for p in own if p.home == where.home and isinstance(p.place.facts, BlockFacts)]
        if not here:
            elsewhere = own[0].span if own else None
            raise SpecError([FusionWithout(step.span, task, where.home, elsewhere)])
        if any(planned.dropping is not None for planned in here):
            raise SpecError([NotCompiled(step.span, "a fusion of what `adapterdrop` leaves out")])
        found.append((task, tuple(_as_part(planned) for planned in here)))
    return tuple(found)


def _as_part(planned: Planned) -> Member:
    """A method with the tensors of its own task, since a fusion reads those of several."""
    member = planned.member
    return Member(member.method, member.rows, planned.prefix, member.gated)
