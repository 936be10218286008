"""Where the sums of a merge read a weight: in memory, in a file, or in the few bits of a quantized
module. All of them give some rows or columns at a time.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from ...runtime import quantized
from ...runtime.files import Entry, Shard
from ...runtime.quantized.form import is_packed
from .tiles import Places, taken


class Weight(Protocol):
    """A matrix as its module stores it, or [out, in] where it is quantized."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def grain(self) -> int:
        """So many rows are quantized by themselves."""
        ...

    def part(self, axis: int, places: Places) -> Tensor: ...

    def whole(self) -> Tensor: ...


class HeldWeight:
    """A tensor in memory."""

    def __init__(self, tensor: Tensor) -> None:
        self._tensor = tensor.detach()
        self.shape = tuple(tensor.shape)
        self.dtype = tensor.dtype
        self.device = tensor.device
        self.grain = 1

    def part(self, axis: int, places: Places) -> Tensor:
        return taken(self._tensor, axis, places)

    def whole(self) -> Tensor:
        return self._tensor


class StoredWeight:
    """A tensor in a file, of which nothing else is read."""

    def __init__(self, shard: Shard, entry: Entry) -> None:
        assert entry.dtype is not None
        self._shard, self._entry = shard, entry
        self.shape = entry.shape
        self.dtype = entry.dtype
        self.device = torch.device("cpu")
        self.grain = 1

    def part(self, axis: int, places: Places) -> Tensor:
        if axis == -len(self.shape) and isinstance(places, range):
            return self._shard.rows(self._entry, places.start, places.stop)
        return taken(self._shard.mapped(self._entry.name), axis, places).clone()

    def whole(self) -> Tensor:
        return self._shard.tensor(self._entry)


class PackedWeight:
    """The values of a quantized module."""

    def __init__(self, module: nn.Module) -> None:
        self._rows = quantized.read.Rows(module)
        self._all: Tensor | None = None
        self.shape = self._rows.shape
        self.dtype = self._rows.dtype
        self.device = module.get_parameter("weight").device
        self.grain = self._rows.step

    def part(self, axis: int, places: Places) -> Tensor:
        if axis == -2 and isinstance(places, range) and self._rows.are_apart:
            return self._rows.between(places.start, places.stop)
        return taken(self.whole(), axis, places)

    def whole(self) -> Tensor:
        """All values, kept: where rows cannot be told apart, each strip would work them out."""
        if self._all is None:
            self._all = self._rows.all()
        return self._all


def weight_of(module: nn.Module) -> Weight:
    """The weight of a module that is in memory."""
    return PackedWeight(module) if is_packed(module) else HeldWeight(module.get_parameter("weight"))
