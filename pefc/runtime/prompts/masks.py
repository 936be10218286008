"""Attention masks with room for new tokens before those of the text."""

import torch
from torch import Tensor, nn

from .prompts import New


def grown(mask: object, new: New, tokens: int, module: nn.Module, full: list[int]) -> object:
    """A mask of the first call, over `tokens` tokens with the new ones.

    A mask over both axes that has rows for the new tokens comes from `generate` and stays. One that
    the caller made grows by rows and columns: every token of the text sees the new tokens. These
    see one another, in order where the model is causal; else also what any token sees. One over
    one axis grows by columns, but for those that `generate` makes: of as many tokens, or of the
    widths `full` of static caches.
    """
    if isinstance(mask, dict):
        return {kind: grown(one, new, tokens, module, full) for kind, one in mask.items()}
    if mask is None or _is_flat(mask):
        return _completed(mask, new, [*full, tokens])
    rows = mask.shape[-2]  # pyright: ignore[reportAttributeAccessIssue]
    if rows == tokens:
        return mask
    if not isinstance(mask, Tensor) or mask.ndim != 4 or rows != tokens - new.length:
        raise _unknown()
    return _squared(mask, new, _is_causal(module))


def later(mask: object, new: New, widths: list[int], full: list[int]) -> object:
    """A mask of a call that follows others: over one axis; or over both, and then as wide as a
    layer of the cache has tokens, new ones included, which a mask that the caller made lacks. One
    of several kinds over one axis comes from `generate`: it speaks of the tokens of this call.
    """
    if isinstance(mask, dict):
        return {
            kind: one if one is None or _is_flat(one) else later(one, new, widths, full)
            for kind, one in mask.items()
        }
    if mask is None or _is_flat(mask):
        return _completed(mask, new, full)
    width = mask.shape[-1]  # pyright: ignore[reportAttributeAccessIssue]
    return widened(mask, new) if width not in widths and width + new.length in widths else mask


def widened(mask: object, new: New) -> Tensor:
    """A mask with new columns, which all rows see, on the left."""
    if not isinstance(mask, Tensor):
        raise _unknown()
    return torch.cat((_seen(mask, new), mask), -1)


def _completed(mask: object, new: New, full: list[int]) -> object:
    if mask is None or (isinstance(mask, Tensor) and mask.shape[-1] in full):
        return mask
    return widened(mask, new)


def _seen(mask: Tensor, new: New) -> Tensor:
    if new.seen is not None:
        if mask.ndim != 2:
            raise _unknown()
        return new.seen.expand(mask.shape[0], -1).to(mask)
    shape = (*mask.shape[:-1], new.length)
    return mask.new_zeros(shape) if _is_bias(mask) else mask.new_ones(shape)


def _squared(mask: Tensor, new: New, causal: bool) -> Tensor:  # noqa: FBT001
    length = new.length
    order = torch.ones(length, length, dtype=torch.bool, device=mask.device)
    order = order.tril() if causal else order
    if _is_bias(mask):
        hidden = torch.finfo(mask.dtype).min
        square = torch.zeros_like(order, dtype=mask.dtype).masked_fill(~order, hidden)
    else:
        hidden, square = 0, order.to(mask.dtype)
    text = torch.full_like(mask[..., :1, :], hidden) if causal else mask.amax(-2, keepdim=True)
    above = (
        square.expand(*mask.shape[:-2], -1, -1),
        text.expand(*mask.shape[:-2], length, -1),
    )
    return torch.cat((torch.cat(above, -1), torch.cat((_seen(mask, new), mask), -1)), -2)


def _is_flat(mask: object) -> bool:
    """Whether a mask is over one axis: that of the tokens that are seen."""
    return len(mask.shape) == 2  # pyright: ignore[reportAttributeAccessIssue]


def _is_bias(mask: Tensor) -> bool:
    """Whether a mask is added to scores: one over both axes, in floating point."""
    return mask.ndim == 4 and mask.is_floating_point()


def _is_causal(module: nn.Module) -> bool:
    return any(getattr(inner, "is_causal", False) is True for inner in module.modules())


def _unknown() -> ValueError:
    return ValueError("a prompt cannot be put before what this attention mask describes")
