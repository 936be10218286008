"""Rounding: how the sums of a module are stored, as numbers of a dtype or in few bits again, and
what that loses.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from math import gcd

import torch
from torch import Tensor, nn

from ...runtime.quantized.form import BLOCK
from ..link import requantized as packed_again
from .base_weight import PackedWeight, Weight
from .merged_weight import Loss, Sums
from .tiles import PART, taken

Pieces = Iterable[tuple[int, range, Tensor]]
"""A matrix by an axis, the places along it, and the values there; all have the same axis, and
follow each other.
"""


def rounded(sums: Sums, dtype: torch.dtype, loss: Loss) -> Pieces:
    """A new weight in a dtype, in the layout of its module."""
    for strip in sums.strips():
        kept = strip.new.to(dtype)
        loss.add(strip.old, strip.new, kept)
        yield strip.axis, strip.places, kept


def requantized(module: nn.Module, sums: Sums, loss: Loss) -> nn.Linear:
    """The module that comes in the place of a quantized one, in its form."""
    shape, dtype = sums.weight.shape, sums.weight.dtype
    exact = ((strip.axis, strip.places, strip.new.to(dtype)) for strip in sums.strips())
    made = packed_again(module, shape, in_order(exact, shape))
    now = PackedWeight(made)
    for strip in sums.strips():
        loss.add(strip.old, strip.new, now.part(strip.axis, strip.places))
    return made


def pieces(weight: Weight, axis: int = -2) -> Pieces:
    """A weight as it is; so many rows at a time that each part is whole blocks of few bits."""
    size, other = weight.shape[axis], weight.shape[-3 - axis]
    grain = BLOCK // gcd(other, BLOCK)
    count = -(-max(1, PART // other) // grain) * grain
    for start in range(0, size, count):
        places = range(start, min(start + count, size))
        yield axis, places, weight.part(axis, places)


def turned(parts: Pieces) -> Pieces:
    """The transposed matrix."""
    return ((-3 - axis, places, values.T) for axis, places, values in parts)


def in_order(parts: Pieces, shape: tuple[int, ...]) -> Iterator[Tensor]:
    """The rows of a matrix; where it comes by columns, all of them at once."""
    left = iter(parts)
    first = next(left)
    again = chain((first,), left)
    if first[0] == -len(shape):
        yield from (values for _, _, values in again)
    else:
        yield gathered(again, shape)


def gathered(parts: Pieces, shape: tuple[int, ...]) -> Tensor:
    """A matrix out of its parts."""
    made: Tensor | None = None
    for axis, places, values in parts:
        made = values.new_empty(shape) if made is None else made
        taken(made, axis, places).copy_(values)
    assert made is not None
    return made
