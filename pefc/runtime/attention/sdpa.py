"""Attention by `scaled_dot_product_attention` in the forward of a module."""

from collections.abc import Callable, Mapping
from functools import wraps
from types import FunctionType
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import multi_head_attention_forward, scaled_dot_product_attention
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from .masks import causally, of_rows, visible

_PARAMETERS = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
"""The positional parameters of the function."""


def product_names(base: type[nn.Module]) -> dict[str, object]:
    """The names that bring the attention of a class to its `pefc_attend`."""

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        products = _Products(self)
        stack = _get_current_function_mode_stack()
        outer = [mode for mode in stack if isinstance(mode, _Products)]
        for mode in outer:
            mode.inner += 1
        try:
            with products:
                output = base.forward(self, *args, **kwargs)
        finally:
            for mode in outer:
                mode.inner -= 1
        if not products.met:
            raise TypeError(
                f"{base.__name__} has made its attention product without "
                "scaled_dot_product_attention, so that its patch did not run"
            )
        return output

    return {"forward": forward}


class _Products(TorchFunctionMode):
    """Passes the attention products of a module to its patch while its forward runs, but for the
    time when the forward of another patched module runs inside.
    """

    inner: int
    """How many forwards of other patched modules run inside."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.inner = 0
        self.met = False

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        named = dict(kwargs or {})
        if func is multi_head_attention_forward:
            with self:
                return _heads(*args, **named)
        if func is Tensor.unflatten:
            # torch.compile cannot follow what the method does while a mode is active.
            return cast("Callable[..., object]", torch.unflatten)(*args, **named)
        if func is not scaled_dot_product_attention or self.inner:
            return func(*args, **named)
        self.met = True
        return _passed(self.module, named | dict(zip(_PARAMETERS, args, strict=False)))


def _no_torch_function(_: object) -> bool:
    return False


_heads = FunctionType(
    multi_head_attention_forward.__code__,
    {**multi_head_attention_forward.__globals__, "has_torch_function": _no_torch_function},
    argdefs=multi_head_attention_forward.__defaults__,
)
"""What `nn.MultiheadAttention` calls, without its question whether a mode is active: the answer
would send it back to the mode, and the product inside would pass by.
"""


def _passed(module: nn.Module, given: dict[str, object]) -> Tensor:
    """The product of one call, as the patch of the module makes it."""
    query, key, value = (cast("Tensor", given.pop(name)) for name in _PARAMETERS[:3])
    if query.dim() != 4:
        raise ValueError(f"attention has queries [batch, heads, n, width], not {query.dim()} axes")

    def call(
        q: Tensor, keys: Tensor, values: Tensor, extra: int, rows: Tensor | None = None
    ) -> Tensor:
        own = given if rows is None else of_rows(None, given, rows, query.shape[0])[1]
        rest = _widened(own, q, keys, extra) if extra else own
        product = cast("Callable[..., Tensor]", scaled_dot_product_attention)
        return product(q, keys, values, **rest).transpose(1, 2)

    scale = given.get("scale")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    attend = cast("Callable[..., Tensor]", module.pefc_attend)
    return attend(call, query, key, value, scale).transpose(1, 2)


def _widened(given: dict[str, object], q: Tensor, keys: Tensor, extra: int) -> dict[str, object]:
    """The keywords of the product where the first `extra` keys are visible to every query."""
    own, mask = keys.shape[2] - extra, given.get("attn_mask")
    if isinstance(mask, Tensor):
        return given | {"attn_mask": visible(mask, own, extra)}
    if given.get("is_causal"):
        return given | {"attn_mask": causally(q, own, extra), "is_causal": False}
    return given
