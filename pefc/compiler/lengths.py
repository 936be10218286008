"""The lengths of axes that have lost ranks: what the manifest of an adapter says of them, and what
statements say of their sites.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..dsl.checked import Attachment, Checked, Lengths, Modified, Step, leaves
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.state import DamagedAdapter
from ..dsl.syntax import Shrink
from .manifest import Entry
from .site import Site


def place_name(path: object, role: object) -> str:
    """What tells a site from the others of its statement."""
    return f"{path}:{role or ''}"


def lengths_at(step: Attachment, site: Site) -> dict[str, int]:
    """The axes that have lost ranks at a site."""
    return dict(dict(step.lengths).get(place_name(site.path, site.role), ()))


def with_lengths(checked: Checked, entries: Iterable[Entry], manifest: Path) -> Checked:
    """A spec whose statements know what the plan of their adapter says of shortened axes.

    Raises SpecError where it says that of a statement that shortens no such axis.
    """
    steps = tuple(leaves(checked.steps))
    found: defaultdict[int, dict[str, tuple[tuple[str, int], ...]]] = defaultdict(dict)
    for entry in entries:
        if entry.lengths:
            number = entry.statement
            step = steps[number] if number is not None and number < len(steps) else None
            if not isinstance(step, Attachment) or not entry.lengths.keys() <= _shrunk(step):
                raise SpecError([DamagedAdapter(str(manifest), "its plan speaks of other axes")])
            name = place_name(entry.site, entry.role)
            found[id(step)][name] = tuple(entry.lengths.items())
    known = {number: tuple(sites.items()) for number, sites in found.items()}
    return replace(checked, steps=tuple(with_known(checked.steps, known))) if known else checked


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


def _shrunk(step: Attachment) -> set[str]:
    """The axes that a method shortens."""
    return {item.dim for item in step.method.body if isinstance(item, Shrink)}
