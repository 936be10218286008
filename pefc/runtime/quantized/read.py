"""What a patch may read of a quantized weight: products, the norms of its rows, or, at a price, its
values.
"""

from collections.abc import Iterator
from copy import copy
from math import gcd

import bitsandbytes.functional as bnb
import torch
from bitsandbytes.autograd._functions import matmul_4bit
from bitsandbytes.nn.modules import Linear8bitLt
from torch import Tensor, nn
from torch._subclasses.fake_tensor import is_fake
from torch.nn import functional

from ..distributed import whole
from ..patched import base_class
from .form import form, state_of
from .pack import restore
from .rows import readable

SQUARES = "pefc_row_squares"
_ROWS = 1024
"""About as many rows are read at once."""


def values(module: nn.Module, packed: Tensor | None = None) -> Tensor:
    """The weight [out, in] that a module computes with, as floating point; `packed` is what it
    keeps, where that is at hand.
    """
    kind = form(module)
    assert kind is not None
    restore(module)
    weight = whole(module.get_parameter("weight") if packed is None else packed).data
    if kind.format == "int8":
        return bnb.int8_vectorwise_dequant(weight, _scales(module))
    return bnb.dequantize_4bit(weight, _state(module))


def is_distorted(module: nn.Module) -> bool:
    """Whether what a module computes with is not what its weight was quantized to.

    On CPU, bitsandbytes 0.50 looks scales up row by row where the width is no multiple of a block,
    while it has written them for the flat weight.
    """
    kind = form(module)
    if kind is None or kind.format == "int8":
        return False
    weight = module.get_parameter("weight")
    state = _state(module)
    if is_fake(weight) or weight.device.type != "cpu" or state.shape[-1] % state.blocksize == 0:  # pyright: ignore[reportOptionalSubscript]
        return False
    with torch.no_grad():
        flat = copy(state)
        flat.shape = torch.Size((1, state.shape.numel()))  # pyright: ignore[reportOptionalMemberAccess]
        return not torch.equal(
            values(module),
            bnb.dequantize_4bit(weight.data, flat).view(state.shape),  # pyright: ignore[reportArgumentType, reportCallIssue]
        )


def has_finite_scales(module: nn.Module) -> bool:
    """Whether all that a weight was quantized from was finite: NaN and infinity get into the scale
    of their block.
    """
    kind = form(module)
    assert kind is not None
    if kind.format == "int8":
        return bool(_scales(module).isfinite().all())
    return bool(_absmax(_state(module)).isfinite().all())


def product(module: nn.Module, x: Tensor) -> Tensor:
    """x Wᵀ as the module computes it, without its bias: [..., in] gives [..., out]."""
    if not isinstance(module, Linear8bitLt):
        return thin_product(module, x)
    kind = form(module)
    if kind is not None and kind.format == "int8":
        readable(module)
    y = base_class(module).forward(module, x)
    return y if module.bias is None else y - module.bias


def thin_product(module: nn.Module, x: Tensor) -> Tensor:
    """x Wᵀ for a few rows x, of a method's tensor: [r, in] gives [r, out]. In 4 bits the weight is
    never held as a whole where the kernels of the device can do without; in 8 bits it is, since
    there the module would round x too.
    """
    kind = form(module)
    assert kind is not None
    if kind.format == "int8":
        return functional.linear(x, values(module).to(x.dtype))
    weight = module.get_parameter("weight")
    wide = x if kind.compute is None else x.to(kind.compute)
    return matmul_4bit(wide, weight, quant_state=_state(module)).to(x.dtype)


def row_squares(module: nn.Module) -> Tensor:
    """The squared norms [out] of the rows of a quantized weight, in at least 32 bits: constants of
    the base, worked out once, some rows at a time.
    """
    found = module._buffers.get(SQUARES)
    if found is None:
        found = fresh_row_squares(module)
        module.register_buffer(SQUARES, found, persistent=False)
    return found


def fresh_row_squares(module: nn.Module) -> Tensor:
    """The same, worked out anew."""
    with torch.no_grad():
        return torch.cat([rows.float().square().sum(-1) for rows in _by_rows(module)])


class Rows:
    """The values of a quantized weight [out, in], some rows at a time: those that `values` gives,
    bit for bit.
    """

    def __init__(self, module: nn.Module) -> None:
        kind = form(module)
        assert kind is not None
        restore(module)
        self._module = module
        self._state = None if kind.format == "int8" else _state(module)
        self.shape: tuple[int, ...]
        self.dtype: torch.dtype
        self.step: int
        weight = whole(module.get_parameter("weight")).data
        if self._state is None:
            self._data, self._scales = weight, _scales(module)
            self.shape, self.dtype, self.step = tuple(weight.shape), torch.float32, 1
        else:
            state = self._state
            self._data, self._scales = weight.reshape(-1).view(torch.uint8), _absmax(state)
            self.shape, self.dtype = tuple(state.shape), state.dtype  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
            self.step = state.blocksize // gcd(self.shape[1], state.blocksize)  # pyright: ignore[reportArgumentType, reportOptionalOperand]
            """So many rows are whole blocks."""

    @property
    def are_apart(self) -> bool:
        """Whether rows are worked out from their own scales, whatever comes before them."""
        return self._state is None or not _is_read_by_rows(self._state, self._data.device)

    def all(self) -> Tensor:
        return values(self._module)

    def between(self, start: int, stop: int) -> Tensor:
        """The rows from one number to another."""
        if self._state is None:
            return bnb.int8_vectorwise_dequant(self._data[start:stop], self._scales[start:stop])
        state, inputs = self._state, self.shape[1]
        block: int = state.blocksize  # pyright: ignore[reportAssignmentType]
        first = start // self.step * self.step
        part = bnb.QuantState(
            self._scales[first * inputs // block : -(-stop * inputs // block)],
            shape=torch.Size((stop - first, inputs)),
            code=state.code,
            blocksize=block,
            quant_type=state.quant_type,
            dtype=state.dtype,
        )
        packed = self._data[first * inputs // 2 : -(-stop * inputs // 2)].unsqueeze(1)
        return bnb.dequantize_4bit(packed, part)[start - first :]


def _by_rows(module: nn.Module) -> Iterator[Tensor]:
    rows = Rows(module)
    count = rows.step * max(1, _ROWS // rows.step)
    for start in range(0, rows.shape[0], count):
        yield rows.between(start, min(start + count, rows.shape[0]))


def _is_read_by_rows(state: bnb.QuantState, device: torch.device) -> bool:
    """Whether scales are looked up row by row, as on CPU, where rows are no whole blocks."""
    return device.type == "cpu" and state.shape[-1] % state.blocksize != 0  # pyright: ignore[reportOptionalSubscript]


def _absmax(state: bnb.QuantState) -> Tensor:
    """The scales of the blocks, as floating point."""
    if not state.nested:
        return state.absmax
    assert state.offset is not None
    return (bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset).float()


def _state(module: nn.Module) -> bnb.QuantState:
    """What a 4-bit weight is read with."""
    state = state_of(module)
    assert isinstance(state, bnb.QuantState)
    return state


def _scales(module: nn.Module) -> Tensor:
    """The scales of the rows in 8 bits, which bitsandbytes moves from the weight to the module at
    its first call.
    """
    found = getattr(module.weight, "SCB", None)
    found = module.state.SCB if found is None else found  # pyright: ignore[reportAttributeAccessIssue]
    assert isinstance(found, Tensor)
    return found
