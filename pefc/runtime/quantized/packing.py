"""Making quantized modules, and keeping them what they are."""

import bitsandbytes.functional as bnb
import torch
from bitsandbytes.nn.modules import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from torch import Tensor, nn

from .forms import Form
from .rows import keep_scales

_THRESHOLD = 6.0
"""Inputs with larger outliers are multiplied in 16 bits, as LLM.int8() does."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def packed(module: nn.Module, form: Form, weight: Tensor) -> nn.Linear:
    """A module of bitsandbytes for a linear one with a weight [out, in], on the device of the
    weight. The bias is the module's own, with its flag, and so are its hooks.
    """
    outputs, inputs = weight.shape
    bias = module._parameters.get("bias")
    made = empty(form, inputs, outputs, bias=bias is not None)
    made.weight = _weight(made, form, weight.detach().contiguous())
    made._parameters["bias"] = bias
    for name in _HOOKS:
        made.__dict__[name] = module.__dict__[name]
    made.source_cls = type(module)  # pyright: ignore[reportArgumentType]  # as transformers notes it
    return settled(made.train(module.training))  # pyright: ignore[reportReturnType]


def empty(form: Form, inputs: int, outputs: int, *, bias: bool) -> nn.Linear:
    """A module of bitsandbytes without values."""
    if form.format == "int8":
        return Linear8bitLt(
            inputs, outputs, bias, has_fp16_weights=False, threshold=_THRESHOLD, device="meta"
        )
    return Linear4bit(
        inputs,
        outputs,
        bias,
        compute_dtype=form.compute,
        compress_statistics=form.double,
        quant_type=form.format,
        device="meta",
    )


def _weight(module: nn.Linear, form: Form, weight: Tensor) -> nn.Parameter:
    device = weight.device
    if form.format == "int8":
        return Int8Params(weight, requires_grad=False, has_fp16_weights=False).to(device)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    fresh = Params4bit(
        weight,
        requires_grad=False,
        compress_statistics=form.double,  # pyright: ignore[reportCallIssue]
        quant_type=form.format,  # pyright: ignore[reportCallIssue]
        module=module,  # pyright: ignore[reportArgumentType, reportCallIssue]
    )
    return fresh.to(device)  # pyright: ignore[reportAttributeAccessIssue]


def settled(module: nn.Module) -> nn.Module:
    """A quantized module whose weight stays as it is.

    On processors with AVX512-BF16, bitsandbytes repacks a 4-bit weight at the first call in
    evaluation: its scales are rounded, and no gradient passes it from then on, in training either.
    """
    if isinstance(module, Linear8bitLt):
        keep_scales(module)
    if isinstance(module, Linear4bit):
        module.support_avx512bf16_for_cpu = False
        state = getattr(module.weight, "quant_state", None)
        if getattr(state, "packing_format_for_cpu", False):
            weight = module.weight
            with torch.no_grad():
                weight.data, module.weight.quant_state = bnb._convert_weight_packed_for_cpu_inverse(  # pyright: ignore[reportAttributeAccessIssue]
                    weight.data,
                    state,  # pyright: ignore[reportArgumentType]
                )
    return module
