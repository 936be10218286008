"""A stem whose text has new tokens before it, or whose tokens have other positions.

A stem embeds the ids and runs the layers. In its first call, that is without a cache or with an
empty one, the new tokens stand before the text; later calls find them in the cache. Callers speak
of the text alone: their masks, positions and token types are completed here, and the new tokens are
cut off what comes back. So heads, poolers, labels and losses see the shapes that they know. The
loss then asks no new token to predict anything: the first token of the text, which nothing else
precedes, is no target.
"""

from dataclasses import dataclass, replace
from functools import wraps
from inspect import signature

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache
from transformers.utils.generic import ModelOutput

from ..calls import cache as caches
from . import arguments as prompted
from . import masks as token_masks
from . import outputs as trimming
from .prompts import NONE, New, Prompts


@dataclass(frozen=True, slots=True)
class Stem:
    """What is done to the tokens of a stem."""

    prompts: Prompts | None
    """The new tokens; None for none."""
    shift: int = 0
    """Added to the positions of all tokens, in a model that takes positions."""
    trims: bool = True
    """Whether the new tokens are cut off what the stem returns; an encoder that a decoder reads
    keeps them, and has the padding of rows with fewer of them at the end.
    """


def stem_names(base: type[nn.Module], stem: Stem) -> dict[str, object]:
    """The names of a subclass of the class of a stem, of a model of transformers."""
    parameters = tuple(signature(base.forward).parameters)[1:]
    if stem.prompts and "inputs_embeds" not in parameters:
        raise ValueError(f"{base.__name__} takes no embeddings, so no prompt can stand before them")
    if stem.prompts and hasattr(base, "get_per_layer_inputs"):
        raise ValueError(f"{base.__name__} reads the ids in its layers; a prompt has none")
    if "position_ids" not in parameters:
        stem = replace(stem, shift=0)

    @wraps(base.forward)
    def forward(self: PreTrainedModel, *args: object, **kwargs: object) -> object:
        given = {**dict(zip(parameters, args, strict=False)), **kwargs}
        tokens = _tokens(given)
        new = NONE if stem.prompts is None else stem.prompts.new(self, _rows(tokens))
        if new.length:
            return _prompted(self, base, stem, new, given)
        _shift(self, stem, given, caches.held(_cache(given)))
        return base.forward(self, **given)

    return {"forward": forward}


def memory_names(base: type[nn.Module], prompts: Prompts) -> dict[str, object]:
    """The names of a subclass of the class of a decoder that attends to a longer encoder output:
    its mask over that output grows where it describes the text alone.
    """
    parameters = tuple(signature(base.forward).parameters)[1:]

    @wraps(base.forward)
    def forward(self: PreTrainedModel, *args: object, **kwargs: object) -> object:
        given = {**dict(zip(parameters, args, strict=False)), **kwargs}
        mask, memory = given.get("encoder_attention_mask"), given.get("encoder_hidden_states")
        new = prompts.new(self, _rows(memory))
        if isinstance(memory, Tensor) and new.length:
            own = memory.shape[1] - new.length
            if mask is None and new.seen is not None:
                mask = new.seen.new_ones((memory.shape[0], own))
            if isinstance(mask, Tensor) and mask.shape[-1] == own:
                given["encoder_attention_mask"] = new.behind(token_masks.widened(mask, new))
        return base.forward(self, **given)

    return {"forward": forward}


def _prompted(
    module: PreTrainedModel, base: type[nn.Module], stem: Stem, new: New, given: prompted.Given
) -> object:
    """One call of a stem that has a prompt."""
    prompted.refuse(given)
    cache = _cache(given)
    first, held = not caches.is_begun(cache), caches.held(cache)
    if first:
        caches.make_room(cache, new.length, module.config)
        _complete(module, stem, new, given, cache)
    else:
        _continue(module, new, given, cache)
    _shift(module, stem, given, held)
    tokens, offsets = _tokens(given), caches.offsets(cache)
    output, as_tuple = _called(module, base, given)
    caches.begin(cache)
    if stem.trims and tokens is not None:
        if first:
            trimming.trim(module, output, new.length, tokens.shape[1])
        trimming.unsee(output, new.length, offsets)
    return output.to_tuple() if as_tuple else output


def _complete(
    module: PreTrainedModel, stem: Stem, new: New, given: prompted.Given, cache: Cache | None
) -> None:
    """Put the new tokens before those of a first call."""
    text = prompted.embedded(module, given)
    if text is None or stem.prompts is None:
        return
    tokens = prompted.prepended(stem.prompts.prompt(module, text.shape[0]), text)
    mask, positions = given.get("attention_mask"), given.get("position_ids")
    given["input_ids"], given["inputs_embeds"] = None, tokens
    if new.seen is not None:
        if not _takes(module, "attention_mask"):
            raise ValueError(
                "rows with prompts of different lengths need a model that takes a mask"
            )
        mask = new.seen.new_ones(text.shape[:2]) if mask is None else mask
        if positions is None:
            positions = prompted.next_positions(text, 0, prompted.origin(module))
    if mask is not None:
        full = caches.full(cache)
        given["attention_mask"] = token_masks.grown(mask, new, tokens.shape[1], module, full)
    if isinstance(positions, Tensor) and _takes(module, "position_ids"):
        first = prompted.origin(module)
        given["position_ids"] = prompted.grown_positions(positions, new, first)
    prompted.grow_types(given, new.length)
    if not stem.trims:
        prompted.pad_behind(given, new)


def _continue(
    module: PreTrainedModel, new: New, given: prompted.Given, cache: Cache | None
) -> None:
    """Let a later call know that new tokens stand in the cache."""
    tokens, mask = _tokens(given), given.get("attention_mask")
    if tokens is None:
        return
    widths = caches.widths(cache, tokens.shape[1])
    reach = caches.reach(cache, tokens.shape[1])
    if mask is None and new.seen is not None and reach:
        mask = new.seen.new_ones((tokens.shape[0], reach - new.length))
    if mask is not None:
        given["attention_mask"] = token_masks.later(mask, new, widths, caches.full(cache))
    positions = given.get("position_ids")
    if positions is None and new.seen is not None and _takes(module, "position_ids"):
        held = caches.held(cache) - new.length
        positions = prompted.next_positions(tokens, held, prompted.origin(module))
    if isinstance(positions, Tensor):
        given["position_ids"] = positions + new.before


def _shift(module: PreTrainedModel, stem: Stem, given: prompted.Given, held: int | Tensor) -> None:
    """Move the tokens of a call to later positions."""
    tokens, positions = _tokens(given), given.get("position_ids")
    if not stem.shift or tokens is None:
        return
    if not isinstance(positions, Tensor):
        positions = prompted.next_positions(tokens, held, prompted.origin(module))
    given["position_ids"] = positions + stem.shift


def _called(
    module: PreTrainedModel, base: type[nn.Module], given: prompted.Given
) -> tuple[ModelOutput, bool]:
    """What the stem itself returns, by name, and whether its caller wants a tuple."""
    wanted = given.get("return_dict")
    wanted = module.config.return_dict if wanted is None else wanted
    if not wanted or "return_dict" in given:
        given["return_dict"] = True
    return base.forward(module, **given), not wanted


def _rows(tokens: object) -> int:
    return tokens.shape[0] if isinstance(tokens, Tensor) else 0


def _takes(module: nn.Module, name: str) -> bool:
    return name in signature(type(module).forward).parameters


def _tokens(given: prompted.Given) -> Tensor | None:
    """The ids of a call, or the embeddings in their stead."""
    tokens = given.get("inputs_embeds")
    tokens = given.get("input_ids") if tokens is None else tokens
    return tokens if isinstance(tokens, Tensor) else None


def _cache(given: prompted.Given) -> Cache | None:
    cache = given.get("past_key_values")
    cache = given.get("cache_params") if cache is None else cache
    return cache if isinstance(cache, Cache) else None
