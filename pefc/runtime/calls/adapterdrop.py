"""AdapterDrop: how many of the first layers go without their adapters, at a call of a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Generic, TypeVar

import torch
from torch import nn


class Drop:
    """The layers of one block of a spec that are left out: `n` now, drawn from `range` for each
    step of training, and `fixed` in evaluation.
    """

    def __init__(self, numbers: range, fixed: int, seed: str) -> None:
        self.range = numbers
        self.fixed = fixed
        self.n = fixed
        self.drawn = 0
        """How many numbers have been drawn; the next one follows from it."""
        self.seed = seed

    def draw(self) -> None:
        """Draw the number for one step of training."""
        # A generator of its own draws the same in every process, whatever else is random there.
        random = Random(f"{self.seed} {self.drawn}")  # noqa: S311
        self.n = random.choice(self.range)
        self.drawn += 1

    def follow(self, other: "Drop") -> None:
        """Go on where another one is."""
        self.n, self.drawn = other.n, other.drawn

    def settle(self) -> None:
        """Take the number of evaluation."""
        if self.n != self.fixed:
            self.n = self.fixed

    def note(self) -> object:
        """The number of the step that is under way."""
        return self.n

    def restore(self, noted: object) -> None:
        """Take that number again."""
        assert isinstance(noted, int)
        if self.n != noted:
            self.n = noted

    def skips(self, layer: int) -> bool:
        """Whether the adapters of a layer do not run."""
        return layer < self.n


def drawing_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a model, which has its drops as `pefc_drops`. Others
    may put another forward into its place, which a call runs too.
    """

    def call(self: nn.Module, *args: object, **kwargs: object) -> object:
        drops: tuple[Drop, ...] = self.pefc_drops  # pyright: ignore[reportAssignmentType]
        if not self.training:
            for drop in drops:
                drop.settle()
        elif not torch.compiler.is_exporting():
            _draw_all(drops)  # pyright: ignore[reportArgumentType]
        return base.__call__(self, *args, **kwargs)

    return {"__call__": call}


@torch.compiler.disable
def _draw_all(drops: tuple[Drop, ...]) -> None:
    """Draw outside of any compiled graph, which is then chosen by the numbers."""
    for drop in drops:
        drop.draw()


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
