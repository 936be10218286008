"""The modules of a plan, each with all the methods that stand on it."""

from collections.abc import Iterator, Sequence

from .plan import Patched, Planned


def patched_modules(attachments: Sequence[Planned], keys: Sequence[object]) -> Iterator[Patched]:
    """Attachments by the module and the kind of patch that they enter, in the order of the spec;
    but a task's own copies of parameters first, since all else stands on them, and copies of whole
    parameters before those of rows.

    `keys` tell the patches of attachments apart.
    """
    grouped: dict[tuple[str, type], list[int]] = {}
    for number, planned in enumerate(attachments):
        grouped.setdefault((planned.home, type(planned.place.facts)), []).append(number)
    for (path, _), found in grouped.items():
        numbers = sorted(found, key=lambda number: _depth(attachments[number]))
        members = tuple(attachments[number] for number in numbers)
        where = members[0].place
        key = (
            where.facts,
            members[0].site.class_name,
            tuple(
                (keys[number], planned.dropping, planned.task)
                for number, planned in zip(numbers, members, strict=True)
            ),
        )
        yield Patched(path, where.facts, where.ports, members, key)


def _depth(planned: Planned) -> int:
    if not planned.member.owns:
        return 2
    return 0 if planned.member.rows is None else 1
