"""The lengths of axes that have lost ranks: what the manifest of an adapter says of them, and what
statements say of their sites.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ..dsl.checked import Attachment, Checked, Lengths, Modified, Step, leaves
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.state import DamagedAdapter
from ..dsl.syntax import Shrink
from .site import Site


def place_name(path: object, role: object) -> str:
    """What tells a site from the others of its statement."""
    return f"{path}:{role or ''}"


def lengths_at(step: Attachment, site: Site) -> dict[str, int]:
    """The axes that have lost ranks at a site."""
    return dict(dict(step.lengths).get(place_name(site.path, site.role), ()))


def with_lengths(checked: Checked, plan: object, manifest: Path) -> Checked:
    """A spec whose statements know what the plan of their adapter says of shortened axes.

    Raises SpecError where it says that of a statement that shortens no such axis.
    """
    steps = tuple(leaves(checked.steps))
    found: defaultdict[int, dict[str, tuple[tuple[str, int], ...]]] = defaultdict(dict)
    for entry in _shortened(plan):
        number, lengths = entry.get("statement"), entry["lengths"]
        step = steps[number] if isinstance(number, int) and 0 <= number < len(steps) else None
        if not isinstance(step, Attachment) or not _are_lengths(lengths, step):
            raise SpecError([DamagedAdapter(str(manifest), "its plan speaks of other axes")])
        name = place_name(entry.get("site"), entry.get("role"))
        found[id(step)][name] = tuple(lengths.items())  # pyright: ignore[reportAttributeAccessIssue]
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


def _shortened(plan: object) -> Iterator[dict[str, object]]:
    """The entries of a plan that speak of lengths."""
    entries = plan.get("attachments") if isinstance(plan, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and "lengths" in entry:
            yield entry


def _are_lengths(lengths: object, step: Attachment) -> bool:
    shrunk = {item.dim for item in step.method.body if isinstance(item, Shrink)}
    return (
        isinstance(lengths, dict)
        and bool(lengths)
        and lengths.keys() <= shrunk
        and all(type(length) is int and length >= 0 for length in lengths.values())
    )
