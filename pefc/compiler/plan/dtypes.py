"""The dtypes of the tensors of methods."""

import torch
from torch import Tensor

from ...dsl.syntax.expression import Name
from ...runtime.quantized.form import DTYPES
from ..lower import Declared, started
from .plan import Planned, setting

_LEAST = torch.float32
"""Steps of training are small beside those of narrower numbers."""


def tensor_dtype(planned: Planned, tensor: Declared, weight: Tensor) -> torch.dtype:
    """The dtype of a tensor beside a weight of the base.

    What trains has at least 32 bits, if `with dtype=…` says nothing else, and so has the copy of it
    that a drift starts from. What is frozen, or stands for a parameter, is like the weight.
    """
    if tensor.dtype is not None:
        return tensor.dtype
    beside = weight.dtype if weight.is_floating_point() else _LEAST
    trained = started(tensor.name) if tensor.frozen else tensor.name
    if planned.member.owns or trained is None:
        return beside
    said = setting("dtype", trained, planned.settings)
    if said is not None:
        assert isinstance(said.value, Name)
        return DTYPES[said.value.name]
    return _LEAST if beside.itemsize < _LEAST.itemsize else beside
