"""The sites whose ranks are allocated together: those of one statement."""

from collections.abc import Iterable, Iterator

from ..dsl import syntax
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.processes import UnheardGradients
from ..dsl.diagnostics.shrinking import WrongSchedule
from .plan import Planned


def shrinking_statements(attachments: Iterable[Planned]) -> dict[int, list[Planned]]:
    """Their sites, by the `id` of the attachment."""
    groups: dict[int, list[Planned]] = {}
    for planned in attachments:
        if planned.method.shrinking is not None:
            groups.setdefault(id(planned.method.attachment), []).append(planned)
    return groups


def uneven_schedules(attachments: Iterable[Planned]) -> Iterator[WrongSchedule]:
    """Statements that allocate the ranks of their sites together, and at different times."""
    for sites in shrinking_statements(attachments).values():
        schedules = {p.method.shrinking.schedule for p in sites if p.method.shrinking is not None}
        if len(schedules) > 1:
            first = sites[0]
            nodes = syntax.walk(first.method.attachment.method)
            item = next(node for node in nodes if isinstance(node, syntax.Shrink))
            name, found = f"`{item.policy.span.text}`", "it differs"
            yield WrongSchedule(item.span, first.span, name, "the same at all sites", found)


def unheard() -> None:
    """Raise SpecError: the optimizer steps other tensors than those that an allocator knows."""
    raise SpecError([UnheardGradients()])
