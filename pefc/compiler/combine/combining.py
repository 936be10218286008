"""Several adapters of one form become one, from their folders alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...dsl.given import check_type
from ..arguments import check_folders, check_options, check_path, check_weights
from .adapters import adapter
from .alike import aligned
from .asking import wanted
from .results import results
from .writing import write


@dataclass(frozen=True, slots=True)
class Combined:
    """What was made."""

    weights: tuple[float, ...]
    tensors: int
    parameters: int
    """Those that train."""


def combine(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    how: str,
    weights: Sequence[float] | None = None,
    density: float | None = None,
    seed: int | None = None,
    rank: int | None = None,
) -> Combined:
    """Make one adapter folder of several that have one base and one form. No model is needed.

    Where a method is a product `weight += s * B @ A`, `cat` gives Σ wᵢsᵢBᵢAᵢ exactly, with the sum
    of the ranks, and `svd` the nearest product of one rank. The other ways go tensor by tensor:
    `linear`, `ties`, `dare` and `magnitude`; on products with √|wᵢsᵢ| on either factor, the sign at
    A, as HF PEFT does, so that one adapter alone keeps its change. Other methods are combined as
    changes from where their tensors start: at 1 in `l: [out] = 1`.

    Args:
        folders: what `save` wrote, each of no task or of one.
        out: the folder to write; an adapter there is replaced. The result belongs to no task.
        how: `linear`, `ties`, `dare`, `magnitude`, `svd` or `cat`.
        weights: one for each folder. By default the result is a mean.
        density: the share of the numbers of a tensor that stay, for `ties`, `dare`, `magnitude`.
        seed: of the numbers that `dare` leaves out, 0 by default.
        rank: of the result of `svd`; by default the largest rank of the adapters.

    Raises:
        TypeError: an argument is of another type.
        SpecError: an option does not fit, a folder is damaged, or the adapters do not fit together.
    """
    paths, shares = check_folders(folders), check_weights(weights)
    check_path("out", out)
    check_type("how", how, str, "the name of a way of combining, such as 'linear'")
    check_options(density, seed, rank)
    options = wanted(len(paths), how, shares, density, seed, rank)
    adapters = [adapter(path) for path in paths]
    made = tuple(results(adapters, aligned(adapters, options), options))
    tensors, parameters = write(adapters[0], made, Path(out))
    return Combined(options.weights, tensors, parameters)
