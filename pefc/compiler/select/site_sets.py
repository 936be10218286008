"""Selected sites as sets of output features: what two selections share, and what one has beyond
another.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..model import Site

Ranges = tuple[tuple[int, int], ...]


def united(sites: Iterable[Site]) -> tuple[Site, ...]:
    """Each site once; a slice goes where the whole module is selected too."""
    kept = {(site.path, site.slice): site for site in sites}
    return tuple(
        site for (path, part), site in kept.items() if part is None or (path, None) not in kept
    )


def shared(left: Iterable[Site], right: Iterable[Site]) -> Iterator[Site]:
    """The features of the left sites that right sites have too."""
    others = tuple(right)
    for site in left:
        for other in others:
            if other.path != site.path:
                continue
            if other.slice is None or other.slice == site.slice:
                yield site
            elif part := _meet(_ranges(site), other.slice):
                yield replace(
                    site, slice=part, role=other.role if site.slice is None else site.role
                )


def remaining(left: Iterable[Site], right: Iterable[Site]) -> Iterator[Site]:
    """The features of the left sites that no right site has."""
    others = tuple(right)
    for site in left:
        taken = [other for other in others if other.path == site.path]
        if any(other.slice is None for other in taken):
            continue
        part = _ranges(site)
        for other in taken:
            part = _without(part, other.slice or ())
        if part == _ranges(site):
            yield site
        elif part:
            yield replace(site, slice=part)


def _ranges(site: Site) -> Ranges:
    return site.slice if site.slice is not None else ((0, site.outputs or 0),)


def _meet(left: Ranges, right: Ranges) -> Ranges:
    both = ((max(a, c), min(b, d)) for a, b in left for c, d in right)
    return tuple(sorted((start, stop) for start, stop in both if start < stop))


def _without(left: Ranges, right: Ranges) -> Ranges:
    for cut_start, cut_stop in right:
        pieces = [
            piece
            for start, stop in left
            for piece in ((start, min(stop, cut_start)), (max(start, cut_stop), stop))
            if piece[0] < piece[1]
        ]
        left = tuple(pieces)
    return left
