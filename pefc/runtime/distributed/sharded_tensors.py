"""Tensors whose numbers processes of a training share: in parts, as `fully_shard` has them, or away
but for the time of a call, as ZeRO-3 of DeepSpeed has them.
"""

import sys
from typing import TYPE_CHECKING, TypeGuard

from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor. Every process has to ask for it; a gradient comes back to each part, but
    none to what was away.
    """
    if is_part(tensor):
        return tensor.full_tensor()
    return _fetched(tensor) if is_away(tensor) else tensor


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


def is_shared_out(tensor: Tensor) -> bool:
    """Whether DeepSpeed has given the numbers of a tensor to the processes, wherever they are."""
    return hasattr(tensor, "ds_id")


def is_away(tensor: Tensor) -> bool:
    """Whether a tensor has no numbers at the moment, since DeepSpeed has shared them out."""
    return is_shared_out(tensor) and tensor.ds_status.name != "AVAILABLE"  # pyright: ignore[reportAttributeAccessIssue]


def is_copied(tensor: Tensor) -> bool:
    """Whether an optimizer of DeepSpeed trains a copy of a tensor in its place."""
    return is_shared_out(tensor) or hasattr(tensor, "_hp_mapping")


def _fetched(tensor: Tensor) -> Tensor:
    with sys.modules["deepspeed"].zero.GatheredParameters([tensor]):
        return tensor.detach().clone()
