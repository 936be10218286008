"""Fusion: attention over what the adapters of several tasks change at one place."""

from collections.abc import Sequence

from ..dsl import library
from ..dsl.checked import Attachment, Fusion
from ..dsl.diagnostics.compiling import NotCompiled
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.fusion import FusionWithout
from ..dsl.vocabulary import FUSION
from .lower import BlockFacts, Member
from .placing import Place
from .plan import Planned

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
