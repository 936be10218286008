"""Wrappers: modules that hold a model as it was and stand in its place, in one process; and what
others have put into the model itself. Their libraries are not imported for this.
"""

import sys
from typing import cast

from torch import distributed, nn

_WRAPPERS = {
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.nn.parallel.data_parallel.DataParallel": "module",
}
"""Where they have the model."""
_FLAT = "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel"
_ORIGINAL = "_fsdp_use_orig_params"
"""What it says of a module: whether that has parameters still. `fully_shard` says that it has."""
_FLATTENED = "_fsdp_flattened"
"""What it says of those."""
_LAYER = "peft.tuners.tuners_utils.BaseTunerLayer"


def place_in(wrapper: nn.Module) -> str | None:
    """The attribute in which a wrapper has its model; None for what is no wrapper."""
    return next((name for path, name in _WRAPPERS.items() if _is(wrapper, path)), None)


def inside(model: nn.Module) -> nn.Module:
    """The model in a wrapper, or in several."""
    while (name := place_in(model)) is not None:
        model = cast("nn.Module", getattr(model, name))
    return model


def is_flattened(model: nn.Module) -> bool:
    """Whether `FullyShardedDataParallel` is around a model, a part of it, or what it is a part of:
    its tensors are then pieces of larger ones, or no parameters at all.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return False
    if any(_is(m, _FLAT) or m.__dict__.get(_ORIGINAL) is False for m in model.modules()):
        return True
    return any(getattr(parameter, _FLATTENED, False) for parameter in model.parameters())


def adapter_of_peft(model: nn.Module) -> str | None:
    """The path of a module that PEFT has put its own in the place of; None where there is none."""
    return next((path for path, module in model.named_modules() if _is(module, _LAYER)), None)


def offloaded(model: nn.Module) -> str | None:
    """The path of a module whose weights Accelerate brings for each call, from a disk or another
    memory; None where there is none.
    """
    found = (path for path, module in model.named_modules() if _is_brought(module))
    return next(found, None)


def _is_brought(module: nn.Module) -> bool:
    hook = module.__dict__.get("_hf_hook")
    return any(getattr(each, "offload", False) for each in (hook, *getattr(hook, "hooks", ())))


def _is(module: nn.Module, path: str) -> bool:
    home, _, name = path.rpartition(".")
    cls = getattr(sys.modules.get(home), name, None)
    return cls is not None and isinstance(module, cls)
