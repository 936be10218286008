"""What is asked for: the way of combining, and its options."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isfinite

from ...dsl.diagnostics.combine import (
    FewAdapters,
    UnfitDensity,
    UnfitRank,
    UnfitSeed,
    UnfitWeight,
    UnknownWay,
    UnusedOption,
    WeightCount,
)
from ...dsl.diagnostics.report import Diagnostic, SpecError

LOW_RANK = ("svd", "cat")
"""Ways that combine changes, not tensors."""
WAYS = ("linear", "ties", "dare", "magnitude", *LOW_RANK)
_USERS = {"density": ("ties", "dare", "magnitude"), "seed": ("dare",), "rank": ("svd",)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A way of combining, with its options."""

    way: str
    weights: tuple[float, ...]
    density: float = 1.0
    """The share of numbers that stay."""
    seed: int = 0
    rank: int | None = None
    """Of the result; None is the largest rank of the adapters."""


def wanted(
    count: int,
    way: str,
    weights: Sequence[float] | None,
    density: float | None,
    seed: int | None,
    rank: int | None,
) -> Wanted:
    """The options for a number of adapters. Raises SpecError with every mistake in them.

    Without weights the result is a mean: `ties` takes it by itself, so each weight is 1 there.
    """
    given = {"density": density, "seed": seed, "rank": rank}
    mistakes = [*_counts(count, weights), *_options(way, given)]
    mistakes += _sizes(way, density, rank, seed)
    if mistakes:
        raise SpecError(mistakes)
    share = 1.0 if way == "ties" else 1 / count
    chosen = (share,) * count if weights is None else tuple(map(float, weights))
    return Wanted(way, chosen, 1.0 if density is None else density, seed or 0, rank)


def _counts(count: int, weights: Sequence[float] | None) -> Iterator[Diagnostic]:
    if count < 2:
        yield FewAdapters(count)
    if weights is None:
        return
    if len(weights) != count:
        yield WeightCount(len(weights), count)
    yield from (UnfitWeight(str(weight)) for weight in weights if not isfinite(weight))


def _options(way: str, given: dict[str, float | None]) -> Iterator[Diagnostic]:
    if way not in WAYS:
        yield UnknownWay(way, WAYS)
        return
    for name, users in _USERS.items():
        if given[name] is not None and way not in users:
            yield UnusedOption(name, way, users)


def _sizes(
    way: str, density: float | None, rank: int | None, seed: int | None
) -> Iterator[Diagnostic]:
    if way in _USERS["density"] and (density is None or not 0 < density <= 1):
        yield UnfitDensity(way, density)
    if way in _USERS["rank"] and rank is not None and rank < 1:
        yield UnfitRank(rank)
    if way in _USERS["seed"] and seed is not None and not 0 <= seed < 2**63:
        yield UnfitSeed(seed)
