"""`pefc combine`: one adapter folder of several."""

from pathlib import Path

import typer

from ...compiler.combine import combine as combined
from ...dsl.diagnostics.combine import UnfitWeight
from ...dsl.diagnostics.report import SpecError
from ..io.console import working
from ..views.paths import size


def combine(
    folders: tuple[Path, ...],
    out: Path,
    *,
    how: str,
    weights: str | None,
    density: float | None,
    seed: int | None,
    rank: int | None,
) -> None:
    """Write the folder that `pefc.load` reads, and say what is in it."""
    numbers = None if weights is None else _numbers(weights)
    with working("combining"):
        made = combined(
            folders, out, how=how, weights=numbers, density=density, seed=seed, rank=rank
        )
    shares = ", ".join(f"{weight:g}" for weight in made.weights)
    written = sum(path.stat().st_size for path in out.iterdir())
    typer.echo(
        f"{out}: {how} of {len(folders)} adapters (weights {shares}), {made.tensors} tensors, "
        f"{made.parameters:,} trained parameters, {size(written)}"
    )


def _numbers(text: str) -> tuple[float, ...]:
    """Numbers between commas. Raises SpecError with each that is none."""
    found: list[float] = []
    mistakes: list[UnfitWeight] = []
    for part in text.split(","):
        try:
            found.append(float(part))
        except ValueError:
            mistakes.append(UnfitWeight(part.strip()))
    if mistakes:
        raise SpecError(mistakes)
    return tuple(found)
