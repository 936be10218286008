"""Path globs, as selectors write them: matched at the end of a path, `*` one segment, `**` any
number.
"""

import re
from fnmatch import fnmatchcase


def alternatives(pattern: str) -> tuple[str, ...]:
    """`attn.{q,v}` -> `attn.q`, `attn.v`; a pattern without braces is its only alternative."""
    match = re.search(r"\{([^{}]*)\}", pattern)
    if match is None:
        return (pattern,)
    before, after = pattern[: match.start()], pattern[match.end() :]
    parts = (part.strip() for part in match[1].split(","))
    return tuple(full for part in parts for full in alternatives(before + part + after))


def matches(pattern: str, path: str) -> bool:
    """The path ends in the pattern, at the border of a segment; `**` may stand for no segment at
    all.
    """
    return bool(path) and _ends(tuple(pattern.split(".")), tuple(path.split(".")))


def _ends(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    """What stands before a match may be anything, so an empty pattern matches any rest."""
    *front, last = pattern or ("",)
    if not pattern:
        return True
    if last == "**":
        return any(_ends(tuple(front), path[:stop]) for stop in range(len(path) + 1))
    return bool(path) and fnmatchcase(path[-1], last) and _ends(tuple(front), path[:-1])
