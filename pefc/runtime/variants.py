"""Variants: what a patched module runs, with or without what an `adapterdrop` leaves out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from torch import nn

Patch = TypeVar("Patch")


@dataclass(frozen=True, slots=True)
class Variants(Generic[Patch]):
    """The patches of one class of modules."""

    whole: Patch
    """The patch with everything in it."""
    partial: Mapping[tuple[bool, ...], Patch | None] = field(default_factory=dict)
    """By which of the module's drops leave it out; None where nothing remains. Empty for modules
    that nothing is ever left out of.
    """
    attribute: str = "pefc_dropping"
    """Under which the module has these drops. A module with patches at several places, as an
    attention that is a block too, has some for each.
    """

    def of(self, module: nn.Module) -> Patch | None:
        """The patch that a module runs now; None for none at all."""
        if not self.partial:
            return self.whole
        dropping = getattr(module, self.attribute)
        left_out = tuple(drop.skips(module.pefc_layer) for drop in dropping)  # pyright: ignore[reportArgumentType]
        return self.partial[left_out] if any(left_out) else self.whole
