"""Is the output of a site what it was before, while the tensors have their initial values?"""

from collections.abc import Mapping
from enum import StrEnum

from torch.fx import Graph

from .reading import read
from .terms import Constant, Term


class Identity(StrEnum):
    """What attaching a method does to the output."""

    EXACT = "exact"
    """Bit for bit what it was."""
    ROUNDING = "rounding"
    """Equal in exact arithmetic."""
    CHANGES = "changes"
    """Not shown to be equal."""


def identity(
    fast: Graph, fast_base: Graph, start: Graph, base: Graph, constants: Mapping[str, float]
) -> Identity:
    """The verdict on one method at one site.

    `fast` is the patch that runs, and `constants` are the numbers with which its tensors start: it
    is exact if the rules that hold in floating point turn it into `fast_base`, what the site
    computes by itself. `start` is the formula with symbolic initial values in place of the
    tensors: it is equal up to rounding if all rules turn it into `base`.
    """
    starts: dict[str, Term] = {name: Constant(value) for name, value in constants.items()}
    if read(fast, starts, exact=True) == read(fast_base, {}, exact=True):
        return Identity.EXACT
    if read(start, {}, exact=False) == read(base, {}, exact=False):
        return Identity.ROUNDING
    return Identity.CHANGES
