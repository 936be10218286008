"""Making quantized modules, and keeping them what they are."""

from collections.abc import Iterable, Iterator
from copy import copy
from typing import Any

import bitsandbytes.functional as bnb
import torch
from bitsandbytes.nn.modules import Int8Params, Linear4bit, Linear8bitLt, Params4bit
from torch import Tensor, nn

from ..change import Change
from .form import NESTED, Form

_THRESHOLD = 6.0
"""Inputs with larger outliers are multiplied in 16 bits, as LLM.int8() does."""
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def packed(module: nn.Module, form: Form, weight: Tensor) -> nn.Linear:
    """A module of bitsandbytes for a linear one with a weight [out, in], on the device of the
    weight. The bias is the module's own, with its flag, and so are its hooks.
    """
    return packed_rows(module, form, tuple(weight.shape), (weight,))


def packed_rows(
    module: nn.Module, form: Form, shape: tuple[int, ...], parts: Iterable[Tensor]
) -> nn.Linear:
    """The same for a weight whose rows come in parts, each of them whole blocks; the bits are those
    of the weight as one.
    """
    outputs, inputs = shape
    bias = module._parameters.get("bias")
    made = empty(form, inputs, outputs, bias=bias is not None)
    rows = (part.detach().contiguous() for part in parts)
    made.weight = _of_rows(rows) if form.format == "int8" else _of_blocks(made, form, rows)
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


def _of_rows(parts: Iterable[Tensor]) -> Int8Params:
    made = [
        Int8Params(part, requires_grad=False, has_fp16_weights=False).to(part.device)  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
        for part in parts
    ]
    if len(made) == 1:
        return made[0]
    data, scales = torch.cat([one.data for one in made]), torch.cat([one.SCB for one in made])
    return rows_of(data, scales)


def rows_of(data: Tensor, scales: Tensor) -> Int8Params:
    """A weight of eight bits, and the scales of its rows."""
    options: dict[str, Any] = {"has_fp16_weights": False, "CB": data, "SCB": scales}
    return Int8Params(data, requires_grad=False, **options)


def _of_blocks(module: nn.Linear, form: Form, parts: Iterable[Tensor]) -> Params4bit:
    """Blocks have their own scales, which double quantization then takes as one."""
    shape = torch.Size((module.out_features, module.in_features))
    data: Tensor | None = None
    scales: list[Tensor] = []
    place = 0
    for part in parts:
        bits, state = bnb.quantize_4bit(part, quant_type=form.format)
        data = bits.new_empty(-(-shape.numel() // 2), 1) if data is None else data
        data[place : place + len(bits)] = bits
        place += len(bits)
        scales.append(state.absmax)
    state.shape, state.absmax = shape, torch.cat(scales)  # pyright: ignore[reportPossiblyUnboundVariable]
    if form.double:
        state.offset = state.absmax.mean()
        nested = bnb.quantize_blockwise(state.absmax - state.offset, blocksize=NESTED)
        state.absmax, state.state2 = nested
        state.nested = True
    module.quant_state = state  # pyright: ignore[reportArgumentType]
    options: dict[str, Any] = {
        "quant_state": state,
        "compress_statistics": form.double,
        "quant_type": form.format,
        "module": module,
        "bnb_quantized": True,
    }
    return Params4bit(data, requires_grad=False, **options)  # pyright: ignore[reportArgumentType]


def settled(module: nn.Module) -> nn.Module:
    """A quantized module whose weight stays as it is.

    On processors with AVX512-BF16, bitsandbytes repacks a 4-bit weight at the first call in
    evaluation: its scales are rounded, and no gradient passes it from then on, in training either.
    """
    for store, name, value in settling(module):
        store[name] = value
    restore(module)
    return module


def settling(module: nn.Module) -> Iterator[tuple[dict[str, object], str, object]]:
    """What makes it stay so: the dicts of the module, and what comes into them."""
    if isinstance(module, Linear8bitLt) and module.state.SCB is None:
        yield module.state.__dict__, "SCB", getattr(module.weight, "SCB", None)
    if isinstance(module, Linear4bit):
        yield module.__dict__, "support_avx512bf16_for_cpu", False


def restore(module: nn.Module) -> None:
    """Take back what bitsandbytes has repacked at a call, before the weight is read; its scales
    stay rounded.
    """
    state = getattr(module._parameters.get("weight"), "quant_state", None)
    if isinstance(module, Linear4bit) and getattr(state, "packing_format_for_cpu", False):
        with torch.no_grad():
            fresh: bnb.QuantState = copy(state)  # pyright: ignore[reportAssignmentType]
            data, fresh = bnb._convert_weight_packed_for_cpu_inverse(module.weight.data, fresh)
        _in_rows(fresh)
        change = Change()
        change.swap(module.weight, data)
        change.draft(vars(state)).update(vars(fresh))
        change.commit()


def _in_rows(state: bnb.QuantState) -> None:
    """Scales in the order of their blocks again: bitsandbytes leaves them [blocks of a row, rows]
    where they are not quantized themselves.
    """
    if not state.nested:
        state.absmax = state.absmax.T.reshape(-1).float()
