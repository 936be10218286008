"""Masks of an attention product whose first keys are visible to every query."""

from collections.abc import Mapping
from typing import cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from torch.nn.functional import pad

Mask = Tensor | BlockMask | None
Options = dict[str, object]
"""Keywords of an attention function."""

_EXPLICIT = ("eager", "paged|eager", "flex_attention")
"""Functions for which no mask means that all keys are visible."""

_SELECTS = ("cache", "indices", "block_indices")
"""Keywords by which a function itself picks the keys that it reads."""

_PACKED = ("cu_seq_lens_q", "cu_seq_lens_k")


def widened(
    name: str,
    module: nn.Module,
    q: Tensor,
    keys: Tensor,
    mask: Mask,
    options: Mapping[str, object],
    extra: int,
) -> tuple[str, Mask, Options]:
    """The attention function, by name, the mask and the keywords for keys of which the first
    `extra` are visible to every query, where `name`, `mask` and `options` were meant for the rest.
    """
    rest, own = dict(options), keys.shape[2] - extra
    for option in _SELECTS:
        if rest.get(option) is not None:
            raise ValueError(f"attention that picks its keys by `{option}` cannot read a prefix")
    if isinstance(bias := rest.get("position_bias"), Tensor):
        rest["position_bias"] = visible(bias, own, extra)
    causal = rest.get("is_causal")
    causal = bool(getattr(module, "is_causal", True) if causal is None else causal)
    if isinstance(mask, BlockMask):
        return name, _blocks(mask, own, extra), rest
    if "flash" in name:
        return _flash(name, q, own, mask, rest, extra, causal=causal)
    if mask is not None:
        return name, visible(mask, own, extra), rest
    # transformers lets a single query see all keys.
    if causal and name not in _EXPLICIT and q.shape[2] > 1:
        return name, causally(q, own, extra), rest
    return name, None, rest


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


def _flash(
    name: str, q: Tensor, own: int, mask: Tensor | None, rest: Options, extra: int, *, causal: bool
) -> tuple[str, Mask, Options]:
    """Flash attention aligns queries and keys by their last ones, so that new first keys are
    visible by themselves, and reads from a mask which keys are padding.

    It cannot leave new keys out of a sliding window; sdpa does that.
    """
    if any(rest.get(option) is not None for option in _PACKED) or _packed(mask, rest):
        raise ValueError("flash attention over packed sequences cannot read a prefix")
    window = rest.pop("sliding_window", None)
    if not isinstance(window, int) or own <= window:
        return name, None if mask is None else visible(mask, own, extra), rest
    if rest.get("softcap") is not None or rest.get("s_aux") is not None:
        raise ValueError(
            f"flash attention with a sliding window of {window} keys and soft caps or sinks cannot "
            "read a prefix: use eager or flex_attention"
        )
    seen = _sliding(q, own, window, causal=causal)
    if mask is not None:
        seen = seen & mask[:, None, None, :].bool()
    return "sdpa", visible(seen, own, extra), rest


def _packed(mask: Tensor | None, options: Options) -> bool:
    """Whether positions start again within a row, by which flash attention tells sequences."""
    positions = options.get("position_ids")
    if mask is not None or not isinstance(positions, Tensor) or positions.shape[0] != 1:
        return False
    if torch.compiler.is_compiling():
        return False
    return bool((positions[..., 1:] != positions[..., :-1] + 1).any())


def _sliding(q: Tensor, own: int, window: int, *, causal: bool) -> Tensor:
    """The pairs within a window, where the last query stands at the last key."""
    keys = torch.arange(own, device=q.device)
    ahead = keys[None, :] - keys[-q.shape[2] :, None]
    return (ahead > -window) & (ahead < (1 if causal else window))


_BLOCKS: WeakKeyDictionary[BlockMask, dict[tuple[int, int], BlockMask]] = WeakKeyDictionary()
"""Block masks with visible keys by the masks that they come from: the layers of a model share one,
and to make it costs more than the attention of a layer.
"""


def _blocks(mask: BlockMask, own: int, extra: int) -> BlockMask:
    if torch.compiler.is_compiling():
        return _made_blocks(mask, own, extra)
    made = _BLOCKS.setdefault(mask, {})
    if (own, extra) not in made:
        made[own, extra] = _made_blocks(mask, own, extra)
    return made[own, extra]


def _made_blocks(mask: BlockMask, own: int, extra: int) -> BlockMask:
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
        device=str(mask.kv_num_blocks.device),
        BLOCK_SIZE=mask.BLOCK_SIZE,
    )


def of_rows(mask: Mask, options: Options, rows: Tensor, batch: int) -> tuple[Mask, Options]:
    """The mask and the options of a call for some rows of its batch."""
    if isinstance(mask, BlockMask):
        raise TypeError("tasks with different prefixes in one batch need a mask that is a tensor")

    def chosen(value: object) -> object:
        if isinstance(value, Tensor) and value.ndim > 1 and value.shape[0] == batch:
            return value.index_select(0, rows)
        return value

    own = {name: chosen(value) for name, value in options.items()}
    return cast("Mask", chosen(mask)), own
