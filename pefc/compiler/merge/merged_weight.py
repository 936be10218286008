"""Sums: what the parameters of a module become with its methods in them, worked out in at least 32
bits, some rows or columns at a time.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import Node

from ..link import Patches
from ..lower import LinearFacts
from ..plan import Patched
from .base_weight import Weight
from .tiles import Places, Strips, taken

_WEIGHT = "weight"


@dataclass(frozen=True, slots=True)
class Strip:
    """Some places of a weight along one axis, in the layout in which its module stores it."""

    axis: int
    places: range
    old: Tensor
    new: Tensor
    """In the dtype of the sum."""


class Sums:
    """The new parameters of one module."""

    def __init__(
        self, patched: Patched, weight: Weight, read: Callable[[str], object], patches: Patches
    ) -> None:
        """`read` gives the other tensors of the module and its methods, by their paths from it."""
        assert isinstance(patched.facts, LinearFacts)
        self.patched = patched
        self.facts = patched.facts
        self.weight = weight
        graph = patches.merged(patched)
        self._leaves = _Leaves(weight, read)
        self._strips = Strips(graph, self._leaves)
        self._new: Node
        self._bias: object
        self._new, self._bias = graph.output_node().args[0]  # pyright: ignore[reportGeneralTypeIssues, reportAttributeAccessIssue, reportOptionalIterable]

    @torch.no_grad()
    def strips(self) -> Iterator[Strip]:
        """The new weight: rows of what is stored, one after the other, unless columns take much
        less memory.
        """
        is_turned = self.facts.transposed
        along, grain = -1 if is_turned else -2, self.weight.grain
        for axis, places in self._strips.strips(self._new, along, grain):
            stored = -3 - axis if is_turned else axis
            new = self._strips.part(self._new, axis, places)
            old = self._leaves.part(_WEIGHT, stored, places)
            yield Strip(stored, places, old, new.T if is_turned else new)

    @torch.no_grad()
    def bias(self) -> Tensor | None:
        """The new bias; None where the sum has none."""
        if not isinstance(self._bias, Node):
            return None
        found = self._strips.whole(self._bias)
        assert isinstance(found, Tensor)
        return found


class Loss:
    """The share of an update that a parameter does not keep as it is stored, summed over strips."""

    def __init__(self) -> None:
        self._size = self._lost = 0.0

    def add(self, old: Tensor, new: Tensor, stored: Tensor) -> None:
        """Compare the same part of three tensors."""
        update = new - old
        self._size = math.hypot(self._size, float(update.norm()))
        self._lost = math.hypot(self._lost, float((stored.to(new.dtype) - old - update).norm()))

    @property
    def share(self) -> float:
        """Infinite where the update is not finite."""
        if not math.isfinite(self._size):
            return math.inf
        return self._lost / self._size if self._size else 0.0


class _Leaves:
    """What the graph of a sum reads, in the dtype of the sum."""

    def __init__(self, weight: Weight, read: Callable[[str], object]) -> None:
        self._weight, self._read = weight, read
        wide = torch.promote_types(weight.dtype, torch.float32)
        self.like = torch.empty(0, dtype=wide, device=weight.device)

    def whole(self, path: str) -> object:
        if path == _WEIGHT:
            return self._weight.whole().to(self.like.dtype)
        found = self._read(path)
        if isinstance(found, Tensor) and found.is_floating_point():
            return found.detach().to(self.like.dtype)
        return False if path == "training" else found

    def part(self, path: str, axis: int, places: Places) -> Tensor:
        if path == _WEIGHT:
            return self._weight.part(axis, places).to(self.like.dtype)
        found = self._read(path)
        assert isinstance(found, Tensor)
        return taken(found.detach(), axis, places).to(self.like.dtype)

    def is_large(self, path: str) -> bool:
        return path == _WEIGHT
