"""The arguments of a stem as they are once new tokens stand before those of the text."""

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.import_utils import is_tracing

from .prompts import New

Given = dict[str, object]

_TYPES = {
    "token_type_ids": 0,
    "mm_token_type_ids": 0,
    "moe_mm_token_type_ids": 0,
    "block_sequence_ids": -1,
}
"""Integers a token, and what stands for none."""
_REFUSED = (
    "bbox",
    "cu_seq_lens_k",
    "cu_seq_lens_q",
    "global_attention_mask",
    "mems",
    "visual_pos_masks",
)
_SCALED = frozenset(
    {"BlenderbotSmallEncoder", "FalconH1Model", "MarianEncoder", "MvpEncoder", "MvpDecoder"}
    | {"PegasusEncoder"}
)
"""Stems that scale the embeddings of ids, and not embeddings that they are given."""


def refuse(given: Given) -> None:
    """Raise for arguments of one value a token that nothing is known of for new tokens, and for
    several sequences in one row, which only the first would see them in.
    """
    for name in _REFUSED:
        if given.get(name) is not None:
            raise ValueError(f"a prompt cannot stand before tokens that `{name}` describes")
    positions = given.get("position_ids")
    alone = given.get("attention_mask") is None and given.get("past_key_values") is None
    if not alone or not isinstance(positions, Tensor) or positions.ndim != 2:
        return
    if not positions.is_meta and not is_tracing(positions) and (positions.diff() != 1).any():
        raise ValueError("a prompt cannot stand before several sequences in one row")


def embedded(module: PreTrainedModel, given: Given) -> Tensor | None:
    """The embeddings of the text; None where the caller gave no text."""
    embeddings, ids = given.get("inputs_embeds"), given.get("input_ids")
    if isinstance(embeddings, Tensor):
        return embeddings
    if not isinstance(ids, Tensor):
        return None
    embedding = module.get_input_embeddings()  # pyright: ignore[reportCallIssue]
    embeddings = embedding(ids.view(-1, ids.shape[-1]))
    if type(module).__name__ not in _SCALED:
        return embeddings
    scale = getattr(module, "embed_scale", None) or getattr(module, "embedding_multiplier", 1.0)
    return embeddings * scale


def prepended(prompt: Tensor, embeddings: Tensor) -> Tensor:
    """New tokens, one set for all rows or one a row, before the embeddings of a batch. Rows that
    `generate` repeats, for beams, repeat their tokens.
    """
    rows, prompt = embeddings.shape[0], prompt.to(embeddings)
    if prompt.ndim == 2:
        prompt = prompt.expand(rows, -1, -1)
    elif prompt.shape[0] != rows:
        if rows % prompt.shape[0]:
            raise ValueError(f"prompts of {prompt.shape[0]} rows for a batch of {rows}")
        prompt = prompt.repeat_interleave(rows // prompt.shape[0], 0)
    return torch.cat((prompt, embeddings), 1)


def grow_types(given: Given, length: int) -> None:
    """Give new tokens no type of their own."""
    for name, none in _TYPES.items():
        types = given.get(name)
        if isinstance(types, Tensor):
            new = types.new_full((*types.shape[:-1], length), none)
            given[name] = torch.cat((new, types), -1)


def pad_behind(given: Given, new: New) -> None:
    """Let the padding of rows with fewer new tokens stand at their end, for a stem that counts the
    positions itself.
    """
    for name in ("inputs_embeds", "attention_mask", "position_ids"):
        values = given.get(name)
        if isinstance(values, Tensor):
            given[name] = new.behind(values)


def origin(module: nn.Module) -> int:
    """The position of a model's first token: those of RoBERTa's kind count from the padding on."""
    embeddings = getattr(module, "embeddings", None)
    if hasattr(embeddings, "create_position_ids_from_inputs_embeds"):
        return embeddings.padding_idx + 1  # pyright: ignore[reportOptionalMemberAccess]
    return 0


def grown_positions(positions: Tensor, new: New, first: int) -> Tensor:
    """The positions of new tokens, from `first` on, before those of the text, which follow. Padding
    before the new tokens has the first one.
    """
    length, text = new.length, positions + new.before
    if new.seen is None:
        steps = torch.arange(first, first + length, dtype=text.dtype, device=text.device)
    else:
        steps = (new.seen.cumsum(1) - 1).clamp(min=0) + first
    return torch.cat((steps.expand(*text.shape[:-1], length), text), -1)


def next_positions(tokens: Tensor, held: int | Tensor, first: int) -> Tensor:
    """The positions of tokens that follow those of a cache."""
    steps = torch.arange(tokens.shape[1], device=tokens.device)
    return (steps + held + first).unsqueeze(0)
