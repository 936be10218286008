"""Is the output of a site what it was before, while the tensors have their initial values?"""

from collections.abc import Mapping
from enum import StrEnum

from torch.fx import Graph

from .reading import read
from .terms import Term


class Identity(StrEnum):
    """What attaching a method does to the output."""

    EXACT = "exact"
    """Bit for bit what it was."""
    ROUNDING = "rounding"
    """Equal in exact arithmetic."""
    CHANGES = "changes"
    """Not shown to be equal."""


def identity(
    fast: Graph, fast_base: Graph, start: Graph, base: Graph, starts: Mapping[str, Term]
) -> Identity:
    """The verdict on one method at one site.

    `fast` is the patch that runs, and `starts` says what its tensors start as, where that is
    one number or a parameter of the module: it
    is exact if the rules that hold in floating point turn it into `fast_base`, what the site
    computes by itself. `start` is the formula with symbolic initial values in place of the
    tensors: it is equal up to rounding if all rules turn it into `base`.
    """
    if read(fast, starts, exact=True) == read(fast_base, {}, exact=True):
        return Identity.EXACT
    if read(start, {}, exact=False) == read(base, {}, exact=False):
        return Identity.ROUNDING
    return Identity.CHANGES
