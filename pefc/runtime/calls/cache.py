"""What a stem asks a cache of transformers: whether it is empty, and whether it has room."""

from functools import partial

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.cache_utils import Cache, CacheLayerMixin, StaticLayer

_BEGUN = "pefc_begun"
_ROOM = "pefc_room"
_GATES = "pefc_gates"


def own(cache: Cache | None) -> Cache | None:
    """The part of a cache that holds the tokens of the stem itself."""
    return getattr(cache, "self_attention_cache", cache)


def held(cache: Cache | None) -> int | Tensor:
    """How many tokens a cache holds, new ones included; for a cache of states alone, whether it
    holds any.
    """
    cache = own(cache)
    if cache is None:
        return 0
    layers = cache.layers
    if layers and not any(hasattr(layer, "get_seq_length") for layer in layers):
        return int(cache.has_previous_state())
    return cache.get_seq_length()


def is_begun(cache: Cache | None) -> bool:
    """Whether a cache holds tokens.

    A static cache counts them in a tensor, which nothing can branch on in a compiled graph: there
    the note of `begin` decides.
    """
    count = held(cache)
    if isinstance(count, Tensor) and torch.compiler.is_compiling():
        return getattr(own(cache), _BEGUN, False)
    return bool(count != 0)


def gates(cache: Cache | None) -> dict[object, Tensor]:
    """The values of gates that the text in a cache has set."""
    cache = own(cache)
    if cache is None:
        return {}
    if not hasattr(cache, _GATES):
        setattr(cache, _GATES, {})
    return getattr(cache, _GATES)


def begin(cache: Cache | None, *, begun: bool = True) -> None:
    """Note that a static cache holds tokens, until it is reset."""
    cache = own(cache)
    if cache is None or not any(isinstance(layer, StaticLayer) for layer in cache.layers):
        return
    if getattr(cache, _BEGUN, None) is not begun:
        setattr(cache, _BEGUN, begun)
        cache.reset = partial(_reset, cache)


def _reset(cache: Cache) -> None:
    type(cache).reset(cache)
    setattr(cache, _BEGUN, False)


def make_room(cache: Cache | None, length: int, config: PreTrainedConfig) -> None:
    """Let a static cache that has no storage yet hold new tokens above what it was made for."""
    cache = own(cache)
    if cache is None:
        return
    for index, layer in enumerate(cache.layers):
        if not isinstance(layer, StaticLayer) or layer.is_initialized or hasattr(layer, _ROOM):
            continue
        size = layer.max_cache_len + length
        layer.max_cache_len = min(size, _window(config, index, size)) if layer.is_sliding else size
        _mark(layer, length)


def has_room(cache: Cache | None, length: int) -> None:
    """Note that a cache was made with room for the new tokens."""
    cache = own(cache)
    for layer in cache.layers if cache is not None else ():
        _mark(layer, length)


def widths(cache: Cache | None, tokens: int) -> list[int]:
    """How many tokens the layers of a cache show to the next ones, these included."""
    return [layer.get_mask_sizes(tokens)[0] for layer in _sized(cache)]


def reach(cache: Cache | None, tokens: int) -> int:
    """How many tokens a cache counts up to the next ones, these included, and those too that a
    sliding window has left behind; for a static one, as many as it holds at most; 0 for a cache
    that counts none.
    """
    return max([0, *(sum(layer.get_mask_sizes(tokens)) for layer in _sized(cache))])


def full(cache: Cache | None) -> list[int]:
    """How many tokens the layers of a static cache hold at most, but for sliding ones."""
    layers = (layer for layer in _sized(cache) if not getattr(layer, "is_sliding", False))
    return [layer.max_cache_len for layer in layers if isinstance(layer, StaticLayer)]


def offsets(cache: Cache | None) -> list[int]:
    """The index of the first token that each layer of a cache shows to the next ones."""
    return [layer.get_mask_sizes(1)[1] for layer in _sized(cache)]


def _sized(cache: Cache | None) -> list[CacheLayerMixin]:
    cache = own(cache)
    layers = cache.layers if cache is not None else []
    return [layer for layer in layers if isinstance(layer, CacheLayerMixin)]


def _mark(layer: object, length: int) -> None:
    setattr(layer, _ROOM, length)


def _window(config: PreTrainedConfig, index: int, otherwise: int) -> int:
    """The window of a sliding layer, which its cache need not exceed."""
    layer = list(config.get_text_config(decoder=True).per_layer_config)[index]
    window = getattr(layer, "sliding_window", None) or getattr(layer, "attention_chunk_size", None)
    return window or otherwise
