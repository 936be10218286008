"""Masks of an attention product whose first keys are visible to every query."""

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from torch.nn.functional import pad

Options = dict[str, object]
"""Keywords of an attention function."""

_SELECTS = ("cache", "indices", "block_indices")
"""Keywords by which the function itself picks the keys that it reads."""

_EXPLICIT = ("eager", "paged|eager", "flex_attention")
"""Functions for which no mask means that all keys are visible."""

_PACKED = ("cu_seq_lens_q", "cu_seq_lens_k")


def widened(
    name: str,
    module: nn.Module,
    q: Tensor,
    keys: Tensor,
    mask: Tensor | BlockMask | None,
    options: Mapping[str, object],
    extra: int,
) -> tuple[Tensor | BlockMask | None, Options]:
    """The mask and the keywords of the attention function `name` for keys of which the first
    `extra` are new, and visible to every query.
    """
    rest = dict(options)
    for option in _SELECTS:
        if rest.get(option) is not None:
            raise ValueError(f"attention that picks its keys by `{option}` cannot read a prefix")
    own = keys.shape[2] - extra
    if isinstance(bias := rest.get("position_bias"), Tensor):
        rest["position_bias"] = visible(bias, own, extra)
    causal = rest.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    if isinstance(mask, BlockMask):
        return _blocks(mask, own, extra), rest
    if "flash" in name:
        return _flash(own, mask, rest, extra), rest
    if mask is None and causal and name not in _EXPLICIT:
        # A single query is the last one, and sees all keys without a mask.
        return (None if q.shape[2] == 1 else causally(q, own, extra)), rest
    return (None if mask is None else visible(mask, own, extra)), rest


def visible(mask: Tensor, own: int, extra: int) -> Tensor:
    """A mask or a bias over `own` keys, or one that broadcasts to them, with `extra` visible ones
    before.
    """
    if mask.shape[-1] == 1:
        mask = mask.expand(*mask.shape[:-1], own)
    return pad(mask, (extra, 0), value=0.0 if mask.is_floating_point() else 1)


def causally(q: Tensor, own: int, extra: int) -> Tensor:
    """The mask that `is_causal` stands for, whose first query sees the first key alone, with
    `extra` visible keys before.
    """
    queries = torch.arange(q.shape[-2], device=q.device)
    keys = torch.arange(own + extra, device=q.device) - extra
    return keys[None, :] <= queries[:, None]


def _flash(own: int, mask: Tensor | None, options: Options, extra: int) -> Tensor | None:
    """Flash attention aligns causal masks by the last query and the last key, so that new first
    keys are visible by themselves; a mask says which keys are padding.
    """
    if any(options.get(option) is not None for option in _PACKED) or _packed(mask, options):
        raise ValueError("flash attention over packed sequences cannot read a prefix")
    window = options.get("sliding_window")
    if isinstance(window, int):
        if own > window:
            raise ValueError(
                f"the sliding window of flash attention ({window} of {own} keys) hides a prefix: "
                "use sdpa, eager or flex_attention"
            )
        options["sliding_window"] = None
    return mask if mask is None else visible(mask, own, extra)


def _packed(mask: Tensor | None, options: Options) -> bool:
    """Whether positions start again within a row, by which flash attention tells sequences."""
    positions = options.get("position_ids")
    if mask is not None or not isinstance(positions, Tensor) or positions.shape[0] != 1:
        return False
    if torch.compiler.is_compiling():
        return False
    return bool((positions[..., 1:] != positions[..., :-1] + 1).any())


_BLOCKS: WeakKeyDictionary[BlockMask, BlockMask] = WeakKeyDictionary()


def _blocks(mask: BlockMask, own: int, extra: int) -> BlockMask:
    rule = mask.mask_mod

    def seen(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key < extra) | rule(batch, head, query, (key - extra).clamp(min=0))

    batch, heads = mask.kv_num_blocks.shape[:2]
    return create_block_mask(
        seen,
        batch,
        heads,
        Q_LEN=mask.seq_lengths[0],
        KV_LEN=own + extra,
        device=mask.kv_num_blocks.device,
        BLOCK_SIZE=mask.BLOCK_SIZE,
    )
