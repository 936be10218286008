"""Models that several processes train: wrapped, as `DistributedDataParallel` does it, or in parts,
as `fully_shard` and DeepSpeed do it. A wrapper holds the model; parts are tensors of the model
itself.
"""

import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from .sharded_tensors import is_part, is_shared_out, whole

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

_HOOKS = ("_forward_pre_hooks", "_forward_hooks")
_ENGINES = (
    "_external_params",
    "_original_parameters",
    "all_parameters",
    "pre_bwd_fn",
    "post_bwd_fn",
)
"""What DeepSpeed gives to a module whose calls it hooks, beside names with `ds_`."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes that a model is spread over."""

    groups: "tuple[ProcessGroup, ...]"
    """One for each direction in which it is spread."""

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes for all."""
        return not any(distributed.get_rank(group) for group in self.groups)


def unwrapped(model: nn.Module) -> nn.Module:
    """The model in a wrapper."""
    engines = sys.modules.get("deepspeed.runtime.engine")  # importing it takes seconds
    if engines is not None and isinstance(model, engines.DeepSpeedEngine):
        return cast("nn.Module", model.module)
    return model.module if isinstance(model, DistributedDataParallel) else model


def is_spread(model: nn.Module) -> bool:
    """Whether a model is in parts."""
    if any(_has_parts(module) for module in model.modules()):
        return True
    return any(is_part(p) or is_shared_out(p) for p in model.parameters())


def spread(model: nn.Module) -> Processes | None:
    """The processes that a model is spread over; None for one that is whole in each. What a call
    has put together is in parts again: of those the model remains, whatever the call computed in.
    """
    for module in model.modules():
        if _has_parts(module):
            module.reshard()  # pyright: ignore[reportCallIssue]
    found = [p.device_mesh for p in model.parameters() if is_part(p)]
    if found:
        mesh = max(found, key=lambda mesh: mesh.ndim)
        return Processes(tuple(mesh.get_group(dim) for dim in range(mesh.ndim)))
    if any(is_shared_out(p) for p in model.parameters()):
        return Processes((cast("ProcessGroup", distributed.group.WORLD),))
    return None


def gathered(tensors: Mapping[str, Tensor], processes: Processes | None) -> dict[str, Tensor]:
    """All of some tensors, one after the other, in the memory of the process that writes."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        value = whole(tensor).detach()
        if processes is None or processes.is_first:
            found[name] = value.contiguous().cpu()
    return found


def by_one(processes: Processes | None, act: Callable[[], object]) -> None:
    """Let one process act while the others wait. What it raises, all raise."""
    if processes is None:
        act()
        return
    failure: list[object] = [None]
    if processes.is_first:
        try:
            act()
        except Exception as error:  # noqa: BLE001  (whatever it is, the others must not wait on)
            failure = [error]
    for group in processes.groups:
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
    """The attributes of a module without those that `fully_shard` or DeepSpeed put there, and then
    without hooks around its forward.
    """
    if not _has_parts(module) and _ENGINES[0] not in module.__dict__:
        return module.__dict__
    from torch.distributed._composable.contract import REGISTRY_KEY, STATE_KEY  # noqa: PLC0415

    theirs = (REGISTRY_KEY, STATE_KEY, *_ENGINES)
    kept = {n: v for n, v in module.__dict__.items() if n not in theirs and not n.startswith("ds_")}
    for name in _HOOKS:
        kept[name] = OrderedDict()
    return kept


def _has_parts(module: nn.Module) -> bool:
    return spread_class(type(module)) is not type(module)
