"""Models that several processes train: wrapped, as `DistributedDataParallel` does it, or in parts,
as `fully_shard` does it. A wrapper holds the model; parts are tensors of the model itself.
"""

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from .whole import is_part, whole

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

_HOOKS = ("_forward_pre_hooks", "_forward_hooks")


def unwrapped(model: nn.Module) -> nn.Module:
    """The model in a wrapper."""
    return model.module if isinstance(model, DistributedDataParallel) else model


def is_spread(model: nn.Module) -> bool:
    """Whether a model is in parts."""
    if any(_has_parts(module) for module in model.modules()):
        return True
    return any(is_part(parameter) for parameter in model.parameters())


def spread(model: nn.Module) -> "DeviceMesh | None":
    """The processes that a model is spread over; None for one that is whole in each. What a call
    has put together is in parts again: of those the model remains, whatever the call computed in.
    """
    for module in model.modules():
        if _has_parts(module):
            module.reshard()  # pyright: ignore[reportCallIssue]
    found = [p.device_mesh for p in model.parameters() if is_part(p)]
    return max(found, key=lambda mesh: mesh.ndim, default=None)


def gathered(tensors: Mapping[str, Tensor], mesh: "DeviceMesh | None") -> dict[str, Tensor]:
    """All of some tensors, one after the other, in the memory of the process that writes."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        value = whole(tensor.detach())
        if mesh is None or is_first(mesh):
            found[name] = value.contiguous().cpu()
    return found


def is_first(mesh: "DeviceMesh") -> bool:
    """Whether this is the process that writes for all."""
    return not any(mesh.get_coordinate() or ())


def by_one(mesh: "DeviceMesh | None", act: Callable[[], object]) -> None:
    """Let one process act while the others wait. What it raises, all raise."""
    if mesh is None:
        act()
        return
    failure: list[object] = [None]
    if is_first(mesh):
        try:
            act()
        except Exception as error:  # noqa: BLE001  (whatever it is, the others must not wait on)
            failure = [error]
    for dim in range(mesh.ndim):
        group = mesh.get_group(dim)
        distributed.broadcast_object_list(failure, group=group, group_src=0)
    if isinstance(failure[0], Exception):
        raise failure[0]


def spread_class(cls: type[nn.Module]) -> type[nn.Module]:
    """The class of a module before `fully_shard` put its own first."""
    module = sys.modules.get("torch.distributed.fsdp")  # importing it takes a second
    while module is not None and module.FSDPModule in cls.__bases__:
        cls = cls.__bases__[-1]
    return cls


def unspread(module: nn.Module) -> Mapping[str, object]:
    """The attributes of a module without those that `fully_shard` put there, and without hooks
    around its forward.
    """
    if not _has_parts(module):
        return module.__dict__
    from torch.distributed._composable.contract import REGISTRY_KEY, STATE_KEY  # noqa: PLC0415

    kept = {n: v for n, v in module.__dict__.items() if n not in (REGISTRY_KEY, STATE_KEY)}
    for name in _HOOKS:
        kept[name] = OrderedDict()
    return kept


def _has_parts(module: nn.Module) -> bool:
    return spread_class(type(module)) is not type(module)
