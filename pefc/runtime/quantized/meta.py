"""Quantized modules that hold nothing, for what is run without values: made under a fake mode, they
take no memory and compute as the true ones do.
"""

import bitsandbytes.functional as bnb
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from .form import BLOCK, NESTED, Form
from .pack import empty

_LEVELS = {4: 16, 8: 256}
"""Numbers that a code of so many bits tells apart."""


def hollow(module: nn.Module, form: Form, weight: Tensor) -> nn.Linear:
    """A module of bitsandbytes for a linear one whose fake weight is [out, in]."""
    outputs, inputs = weight.shape
    bias = module._parameters.get("bias")
    # The parameters of bitsandbytes are a kind of tensor that a fake one cannot be.
    with unset_fake_temporarily():
        made = empty(form, inputs, outputs, bias=bias is not None)
    made._parameters["bias"] = bias
    _fill(made, form, weight)
    return made.train(module.training)


def _fill(made: nn.Linear, form: Form, weight: Tensor) -> None:
    if form.format == "int8":
        _of_rows(made, weight)
        return
    state = _state(form, weight)
    packed = weight.new_empty((-(-weight.numel() // 2), 1), dtype=torch.uint8)
    made.weight = nn.Parameter(packed, requires_grad=False)
    made.weight.quant_state = state  # pyright: ignore[reportAttributeAccessIssue]
    made.quant_state = state  # pyright: ignore[reportArgumentType]


def _of_rows(made: nn.Linear, weight: Tensor) -> None:
    """Eight bits, and no outliers: which inputs have them only values tell."""
    made.weight = nn.Parameter(torch.empty_like(weight, dtype=torch.int8), requires_grad=False)
    made.weight.CB = made.weight.data  # pyright: ignore[reportAttributeAccessIssue]
    made.weight.SCB = weight.new_empty(weight.shape[0], dtype=torch.float32)  # pyright: ignore[reportAttributeAccessIssue]
    made.state.threshold = 0.0  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]


def _state(form: Form, weight: Tensor) -> bnb.QuantState:
    blocks = -(-weight.numel() // BLOCK)
    outer = None
    if form.double:
        outer = bnb.QuantState(
            weight.new_empty(-(-blocks // NESTED), dtype=torch.float32),
            code=weight.new_empty(_LEVELS[8], dtype=torch.float32),
            blocksize=NESTED,
            dtype=torch.float32,
        )
    return bnb.QuantState(
        weight.new_empty(blocks, dtype=torch.uint8 if form.double else torch.float32),
        shape=weight.shape,
        code=weight.new_empty(_LEVELS[4], dtype=torch.float32),
        blocksize=BLOCK,
        quant_type=form.format,
        dtype=weight.dtype,
        offset=weight.new_empty((), dtype=torch.float32) if form.double else None,
        state2=outer,
    )
