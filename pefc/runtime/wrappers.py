"""Wrappers: modules that hold a model as it was and stand in its place, in one process; and what
others have put into the model itself. Their libraries are not imported for this.
"""

import sys
from typing import cast

from torch import nn

_WRAPPERS = {
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.nn.parallel.data_parallel.DataParallel": "module",
}
"""Where they have the model."""
_SHARDED = "torch.distributed.fsdp.fully_sharded_data_parallel.FullyShardedDataParallel"
_LAYER = "peft.tuners.tuners_utils.BaseTunerLayer"


def place_in(wrapper: nn.Module) -> str | None:
    """The attribute in which a wrapper has its model; None for what is no wrapper."""
    return next((name for path, name in _WRAPPERS.items() if _is(wrapper, path)), None)


def inside(model: nn.Module) -> nn.Module:
    """The model in a wrapper, or in several."""
    while (name := place_in(model)) is not None:
        model = cast("nn.Module", getattr(model, name))
    return model


def is_sharded(model: nn.Module) -> bool:
    """Whether `FullyShardedDataParallel` is around a model, or around a part of it."""
    return any(_is(module, _SHARDED) for module in model.modules())


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
