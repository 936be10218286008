"""A finding: that a linear map carries a role."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Finding:
    """One role of one map of a tape."""

    node: int
    role: str
    mask: Tensor | None
    """The elements of the map's result that carry the role; None for all of them."""
    group: int
    """The attention product or the join that the role belongs to."""
