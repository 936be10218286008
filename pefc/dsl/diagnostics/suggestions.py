"""The name that was probably meant: one measure of nearness for every "did you mean"."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name with the fewest typing slips from `word`, if they are few for its length."""
    limit = (len(word) + 1) // 3 or min(1, len(word) - 1)
    best: str | None = None
    for name in known:
        if abs(len(name) - len(word)) > limit:
            continue
        distance = _slips(word.lower(), name.lower())
        if distance <= limit:
            best, limit = name, distance - 1
    return best


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """A line of help that names the nearest known name."""
    name = nearest(word, known)
    return None if name is None else f"did you mean `{name}`?"


def listing(names: Iterable[str]) -> str:
    """Names in backquotes, as they stand in a sentence."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) < 2:
        return "".join(quoted)
    return f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _slips(left: str, right: str) -> int:
    """Insertions, deletions, substitutions and swaps of neighbours between two words."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, letter in enumerate(left, 1):
        current = [row]
        for column, other in enumerate(right, 1):
            cost = min(above[column] + 1, current[-1] + 1, above[column - 1] + (letter != other))
            if row > 1 and column > 1 and letter == right[column - 2] and left[row - 2] == other:
                cost = min(cost, before[column - 2] + 1)
            current.append(cost)
        before, above = above, current
    return above[-1]
