"""Many paths as one: `model.layers.0..31.self_attn.q_proj` for what stands in every layer."""

from collections.abc import Iterable, Sequence
from itertools import product

from ...compiler.model import Site

Indices = tuple[int, ...]


def collapsed(paths: Iterable[str]) -> str:
    """Paths that differ in numbers only, as one with ranges; others, joined by commas."""
    groups: dict[tuple[str, ...], list[Indices]] = {}
    for path in dict.fromkeys(paths):
        groups.setdefault(shape(path), []).append(_indices(path))
    return ", ".join(
        text for pattern, indices in groups.items() for text in _texts(pattern, indices)
    )


def shape(path: str) -> tuple[str, ...]:
    """The segments of a path, with `*` for numbers."""
    return tuple("*" if segment.isdigit() else segment for segment in path.split("."))


def ranges(numbers: Iterable[int]) -> str:
    """`0..5`, `7`, or `{0..2, 5}`."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and runs[-1][-1] == number - 1:
            runs[-1][-1] = number
        else:
            runs.append([number, number])
    texts = [str(first) if first == last else f"{first}..{last}" for first, last in runs]
    return texts[0] if len(texts) == 1 else f"{{{','.join(texts)}}}"


def _indices(path: str) -> Indices:
    return tuple(int(segment) for segment in path.split(".") if segment.isdigit())


def _texts(pattern: tuple[str, ...], indices: Sequence[Indices]) -> list[str]:
    """One text if every combination of the numbers is there, else one for each ending."""
    columns = tuple(sorted(set(column)) for column in zip(*indices, strict=True))
    if set(indices) == set(product(*columns)):
        return [_filled(pattern, columns)]
    by_ending: dict[Indices, list[int]] = {}
    for first, *rest in indices:
        by_ending.setdefault(tuple(rest), []).append(first)
    return [
        _filled(pattern, (first, *([number] for number in rest)))
        for rest, first in by_ending.items()
    ]


def _filled(pattern: tuple[str, ...], columns: Sequence[Sequence[int]]) -> str:
    remaining = iter(columns)
    return ".".join(ranges(next(remaining)) if part == "*" else part for part in pattern)


def sliced(site: Site) -> str:
    """The output features of a slice, after a space: ` [0:768]`, or the first of many ranges."""
    if site.slice is None:
        return ""
    (start, stop), *more = site.slice
    return f" [{start}:{stop}{', …' if more else ''}]"


def size(count: float) -> str:
    """`512 bytes`, `1.5 KiB`, `3.2 GiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
