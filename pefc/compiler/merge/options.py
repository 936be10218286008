"""Wishes: how a merge is to go."""

import math
from dataclasses import dataclass

import torch

from ...runtime.quantized.form import DTYPES
from ..model import check_flag

TOLERATED = 0.05
"""The share of an update that a merge may lose without asking."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a merge is to go."""

    keep_base: bool = False
    """Keep what changes, so that `remove` can undo it."""
    loss: float = TOLERATED
    """The share of an update that may be lost to a dtype."""
    into: torch.dtype | None = None
    """The dtype that the whole model takes; quantized weights become plain ones."""
    requantize: bool = False
    """Round sums into quantized weights, whatever that loses."""


def wish(*, keep_base: bool, loss: object, into: object, requantize: bool) -> Wish:
    """The wish that a user's arguments mean.

    Raises TypeError or ValueError where they mean none.
    """
    check_flag("keep_base", keep_base)
    check_flag("requantize", requantize)
    if isinstance(loss, bool) or not isinstance(loss, int | float):
        raise TypeError(f"`loss` is {loss!r}: it is a share of the update, such as 0.05")
    if math.isnan(loss) or loss < 0:
        raise ValueError(f"`loss` is {loss!r}: it is a share of the update, from 0 on")
    if into is not None and not (isinstance(into, str) and into in DTYPES):
        raise ValueError(f"`into` is {into!r}: it is one of {', '.join(DTYPES)}")
    if into is not None and keep_base:
        raise ValueError("a model that takes another dtype cannot keep its base")
    if into is not None and requantize:
        raise ValueError("give `into` or `requantize`, not both")
    return Wish(keep_base, loss, None if into is None else DTYPES[into], requantize)
