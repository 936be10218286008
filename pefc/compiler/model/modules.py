"""Families of modules: what a module computes, whatever patched or quantized class it has."""

from torch import Tensor, nn

from ...runtime.patched import base_class
from .sites import SiteKind


def linear_width(module: nn.Module) -> tuple[int, int] | None:
    """(inputs, outputs) of a linear module; None for any other.

    A subclass with a forward of its own computes something else, and one whose weight is worked out
    anew in each step, as by `weight_norm`, has none that a patch could read.
    """
    if not _runs_as_declared(module) or "weight" not in module._parameters:
        return None
    if isinstance(module, nn.Linear):
        return module.in_features, module.out_features
    if is_transposed(module):
        weight = module.weight
        assert isinstance(weight, Tensor)
        return weight.shape[0], weight.shape[1]
    return None


def why_closed(module: nn.Module) -> str | None:
    """Why a module is no linear site, though its class is that of a linear map; None for others."""
    if not isinstance(module, nn.Linear) or linear_width(module) is not None:
        return None
    kind = base_class(module)
    if not _runs_as_declared(module):
        return f"is of the class `{kind.__name__}`, which has a forward of its own"
    return "has a weight that is worked out anew at each call"


def _runs_as_declared(module: nn.Module) -> bool:
    """The forward is the one of `nn.Linear`, of `Conv1D`, of Falcon's maps, which differs from the
    first in its rounding alone, or of bitsandbytes' quantized maps.
    """
    home = next(cls for cls in base_class(module).__mro__ if "forward" in cls.__dict__)
    return (
        home is nn.Linear
        or home.__name__ in {"Conv1D", "FalconLinear"}
        or home.__module__.partition(".")[0] == "bitsandbytes"
    )


def is_transposed(module: nn.Module) -> bool:
    """`Conv1D` of transformers keeps its weight as [in, out]; a patched one is a subclass."""
    return _is_conv1d(type(module))


def was_transposed(module: nn.Module) -> bool:
    """The same of what a quantized module was made from, as transformers notes it."""
    found = getattr(module, "source_cls", None)
    return isinstance(found, type) and _is_conv1d(found)


def _is_conv1d(kind: type) -> bool:
    return any(
        cls.__name__ == "Conv1D" and cls.__module__ == "transformers.pytorch_utils"
        for cls in kind.__mro__
    )


def module_kind(module: nn.Module) -> SiteKind | None:
    """The kind of site that a module's class says it is."""
    if linear_width(module) is not None:
        return "linear"
    match module:
        case nn.Embedding():
            return "embedding"
        case nn.modules.conv._ConvNd():
            return "conv"
        case nn.LayerNorm() | nn.RMSNorm() | nn.GroupNorm() | nn.modules.batchnorm._BatchNorm():
            return "norm"
        case _:
            return None


def module_width(module: nn.Module) -> tuple[int | None, int | None]:
    """(inputs, outputs) of a module of any kind; of a norm its width twice."""
    if (width := linear_width(module)) is not None:
        return width
    match module:
        case nn.Embedding():
            return module.num_embeddings, module.embedding_dim
        case nn.modules.conv._ConvNd():
            return module.in_channels, module.out_channels
        case _:
            weight = getattr(module, "weight", None)
            size = weight.shape[0] if weight is not None and weight.ndim == 1 else None
            return size, size
