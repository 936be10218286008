"""What quantized weights take."""

from torch import nn

from ..runtime.quantized import dtype
from .plan import Packing


def plain_bytes(packing: Packing, model: nn.Module) -> int:
    """What the weight takes in floating point: of one that arrived quantized, what it took."""
    module = model.get_submodule(packing.site.path)
    kind = dtype(module) if packing.is_there else module.get_parameter("weight").dtype
    width = 4 if kind is None else kind.itemsize
    return width * (packing.site.inputs or 0) * (packing.site.outputs or 0)


def kept_bytes(packing: Packing) -> int:
    """What it takes in its few bits, scales included."""
    return packing.form.bytes(packing.site.inputs or 0, packing.site.outputs or 0)
