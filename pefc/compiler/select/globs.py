"""Path globs, as selectors write them: matched at the end of a path, `*` one segment, `**` any
number.
"""

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import groupby

MOST_ALTERNATIVES = 1000
"""Patterns that the braces of one stand for; models have a few hundred names."""
_BRACES = re.compile(r"\{([^{}]*)\}")


class TooManyAlternativesError(Exception):
    """The braces of a pattern stand for more patterns than MOST_ALTERNATIVES."""


def alternatives(pattern: str) -> tuple[str, ...]:
    """`attn.{q,v}` -> `attn.q`, `attn.v`; a pattern without braces is its only alternative.

    Raises TooManyAlternativesError as soon as there are more than any model has use for.
    """
    found = [pattern]
    while any(_BRACES.search(each) for each in found):
        found = [full for each in found for full in _once(each)]
        if len(found) > MOST_ALTERNATIVES:
            raise TooManyAlternativesError
    return tuple(found)


def _once(pattern: str) -> tuple[str, ...]:
    """A pattern with its first innermost braces expanded."""
    match = _BRACES.search(pattern)
    if match is None:
        return (pattern,)
    before, after = pattern[: match.start()], pattern[match.end() :]
    return tuple(f"{before}{part.strip()}{after}" for part in match[1].split(","))


def matches(pattern: str, path: str) -> bool:
    """The path ends in the pattern, at the border of a segment; `**` may stand for no segment at
    all.
    """
    segments = pattern.split(".")
    once = [s for s, same in groupby(segments) for s in (["**"] if s == "**" else same)]
    return bool(path) and _ends(tuple(once), tuple(path.split(".")))


@lru_cache(maxsize=1 << 14)
def _ends(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """What stands before a match may be anything, so an empty pattern matches any rest."""
    *front, last = pattern or ("",)
    if not pattern:
        return True
    if last == "**":
        return any(_ends(tuple(front), path[:stop]) for stop in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[-1], last) and _ends(tuple(front), path[:-1])
