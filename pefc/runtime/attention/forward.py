"""The product of an attention module, with a patch between the module and the product."""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from .registry import interface_names
from .sdpa import product_names

Call = Callable[[Tensor, Tensor, Tensor, int], Tensor]
"""(q, keys, values, extra) -> context: attention as the model computes it, where the first `extra`
keys are visible to every query.
"""

Attend = Callable[..., Tensor]
"""(module, call, q, keys, values, scale) -> context: what a patch does to an attention product."""


def attention_forward(
    base: type[nn.Module], attend: Attend, channel: Literal["interface", "product"]
) -> dict[str, object]:
    """The names of a subclass of `base` whose attention product passes through `attend`.

    On a class that has such a patch already the new one is the outer one: its `call` is the
    product with the patches that were there before.
    """
    attends = (attend, *getattr(base, "pefc_attends", ()))

    def product(
        self: nn.Module, call: Call, q: Tensor, k: Tensor, v: Tensor, scale: float
    ) -> Tensor:
        return _passed(attends, self, call, q, k, v, scale)

    names: dict[str, object] = {"pefc_attend": product, "pefc_attends": attends}
    if len(attends) > 1:
        return names
    return names | (interface_names(base) if channel == "interface" else product_names(base))


def extended(sequence: Tensor, prefix: Tensor) -> Tensor:
    """Keys or values [b, kv_heads, m, hd] with a prefix before them, [len, kv_heads, hd] or
    [b, len, kv_heads, hd], in the dtype of the sequence.
    """
    before = prefix.transpose(-3, -2).to(sequence.dtype)
    return torch.cat([before.expand(sequence.shape[0], -1, -1, -1), sequence], dim=2)


def attended(q: Tensor, keys: Tensor, values: Tensor, scale: float) -> Tensor:
    """Softmax attention of q [b, heads, n, hd] to all keys and values, [m, kv_heads, hd] or
    [b, m, kv_heads, hd], where groups of queries may share a head: [b, n, heads, hd].
    """
    batch, heads, queries, width = q.shape
    grouped = q.reshape(batch, keys.shape[-2], -1, width)
    scores = grouped @ keys.to(q.dtype).transpose(-3, -2).transpose(-2, -1) * scale
    context = scores.softmax(-1) @ values.to(q.dtype).transpose(-3, -2)
    return context.reshape(batch, heads, queries, -1).transpose(1, 2)


def _passed(
    attends: tuple[Attend, ...],
    module: nn.Module,
    call: Call,
    q: Tensor,
    keys: Tensor,
    values: Tensor,
    scale: float,
) -> Tensor:
    """The context where the first of the patches calls the product with all the others."""
    if not attends:
        return call(q, keys, values, 0)
    if len(attends) == 1:
        return attends[0](module, call, q, keys, values, scale)

    def inner(q: Tensor, keys: Tensor, values: Tensor, extra: int) -> Tensor:
        def product(q: Tensor, keys: Tensor, values: Tensor, further: int) -> Tensor:
            return call(q, keys, values, extra + further)

        return _passed(attends[1:], module, product, q, keys, values, scale)

    return attends[0](module, inner, q, keys, values, scale)
