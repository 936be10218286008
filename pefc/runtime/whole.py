"""Tensors that may be spread over the processes of a training, as `fully_shard` does it."""

import sys
from typing import TYPE_CHECKING, TypeGuard

from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor. Every process has to ask for it; a gradient comes back to each part."""
    return tensor.full_tensor() if is_part(tensor) else tensor


def fill_zero(tensor: Tensor, where: Tensor) -> None:
    """Put zeros into a tensor, in the part of it that is here, where the whole mask says so."""
    if is_part(tensor):
        from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415

        mask = distribute_tensor(where, tensor.device_mesh, tensor.placements, src_data_rank=None)
        tensor.to_local().masked_fill_(mask.to_local(), 0)
    else:
        tensor.masked_fill_(where, 0)


def is_part(tensor: Tensor) -> "TypeGuard[DTensor]":
    """Whether a tensor is in parts. Importing what spreads tensors takes a second; where nobody
    did, none is.
    """
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)
