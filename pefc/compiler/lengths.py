"""The lengths of axes that have lost ranks: what the manifest of an adapter says of them, and what
statements say of their sites.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from ..dsl.checked import Attachment, Lengths, Modified, Step
from .site import Site


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
