"""The sites whose ranks are allocated together: those of one statement."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from ...dsl import syntax
from ...dsl.checked import Attachment, Lengths, Modified, Step
from ...dsl.diagnostics.processes import UnheardGradients
from ...dsl.diagnostics.ranks import WrongSchedule
from ...dsl.diagnostics.report import SpecError
from ..model import Site
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


def place_name(path: object, role: object) -> str:
    """What tells a site from the others of its statement."""
    return f"{path}:{role or ''}"


def lengths_at(step: Attachment, site: Site) -> dict[str, int]:
    """The axes that have lost ranks at a site."""
    return dict(dict(step.lengths).get(place_name(site.path, site.role), ()))


def with_known(steps: tuple[Step, ...], lengths: Mapping[int, Lengths]) -> Iterator[Step]:
    """Steps with their lengths, which are given by the `id` of the step."""
    for step in steps:
        match step:
            case Modified():
                yield replace(step, body=tuple(with_known(step.body, lengths)))
            case Attachment() if id(step) in lengths:
                yield replace(step, lengths=lengths[id(step)])
            case _:
                yield step
