"""A model that generates, over a stem whose text has new tokens before it.

`generate` reads lengths off the cache, and makes masks and static caches before the stem is called:
there the new tokens count, and nowhere else. A model with an encoder stays what it is, since its
decoder has no new tokens.
"""

from collections.abc import Callable
from copy import copy
from functools import wraps
from inspect import getattr_static, signature

import torch
from torch import Tensor, nn
from transformers import GenerationConfig, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.masking_utils import create_masks_for_generate

from ..calls import cache as caches
from . import arguments as prompted
from . import masks as token_masks
from .prompts import Prompts

_MASKS = "create_masks_for_generate"
Method = Callable[..., object]


def generating_names(base: type[nn.Module], prompts: Prompts) -> dict[str, object]:
    """The names of a subclass of the class of a model that has `generate`."""
    return {
        "_prepare_static_cache": _wrapped(base, "_prepare_static_cache", prompts, _roomy),
        "_prefill": _wrapped(base, "_prefill", prompts, _sliced),
        _MASKS: _wrapped(base, _MASKS, prompts, _masked),
    }


def _wrapped(base: type[nn.Module], name: str, prompts: Prompts, call: Method) -> Method:
    """A method that calls the one of the class through another function, by keywords."""
    method = getattr_static(base, name, staticmethod(create_masks_for_generate))
    bare = getattr(method, "__func__", method)
    names = [one for one in signature(bare).parameters if one != "self"]

    @wraps(bare)
    def wrapper(self: PreTrainedModel, *args: object, **kwargs: object) -> object:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        inherited = method.__get__(self, type(self))
        if self.config.is_encoder_decoder:
            return inherited(**given)
        return call(self, inherited, prompts, **given)

    return wrapper


def _roomy(
    model: PreTrainedModel,
    prepare: Method,
    prompts: Prompts,
    *,
    max_cache_len: int,
    **given: object,
) -> object:
    """A static cache with room for the new tokens."""
    rows = given.get("batch_size")
    new = prompts.new(model, rows if isinstance(rows, int) else 0)
    length = new.length
    cache = prepare(max_cache_len=max_cache_len + length, **given)
    assert isinstance(cache, Cache)
    caches.has_room(cache, length)
    return cache


def _masked(
    model: PreTrainedModel,
    make: Method,
    prompts: Prompts,
    *,
    inputs_embeds: Tensor,
    attention_mask: object,
    past_key_values: Cache | None,
    **given: object,
) -> object:
    """Masks for the tokens that the stem will run."""
    rows, tokens = inputs_embeds.shape[:2]
    new = prompts.new(model, rows)
    length = new.length
    caches.make_room(past_key_values, length, model.config)
    if not caches.is_begun(past_key_values):
        tokens += length
        inputs_embeds = inputs_embeds.new_empty((rows, tokens, 0))
        prompted.grow_types(given, length)
    reach = caches.reach(past_key_values, tokens)
    if attention_mask is None and new.seen is not None and reach:
        # `generate` drops a mask that hides nothing, but the new tokens of some rows are padded.
        attention_mask = new.seen.new_ones((rows, reach - length))
    if isinstance(attention_mask, Tensor) and attention_mask.ndim == 2:
        attention_mask = token_masks.widened(attention_mask, new)
    return make(
        inputs_embeds=inputs_embeds,
        attention_mask=attention_mask,
        past_key_values=past_key_values,
        **given,
    )


def _sliced(
    model: PreTrainedModel,
    prefill: Method,
    prompts: Prompts,
    *,
    input_ids: Tensor,
    generation_config: GenerationConfig,
    model_kwargs: dict[str, object],
    is_first_iteration: bool = True,
) -> object:
    """The first step of a generation. With a cache from an earlier one, the ids that it does not
    hold yet are those after as many as it holds without the new tokens; they are run at once.
    """
    length = prompts.new(model, input_ids.shape[0]).length
    cache, mask = model_kwargs.get("past_key_values"), model_kwargs.get("attention_mask")
    held = int(caches.held(cache)) if isinstance(cache, Cache) else 0
    if held:
        embeddings = model_kwargs.get("inputs_embeds")
        if isinstance(embeddings, Tensor) and is_first_iteration:
            blank = embeddings.new_zeros((embeddings.shape[0], length, embeddings.shape[2]))
            model_kwargs["inputs_embeds"] = torch.cat((blank, embeddings), 1)
        columns = mask.shape[1] if isinstance(mask, Tensor) else generation_config._mask_length
        if columns == input_ids.shape[1]:
            input_ids = input_ids[:, held - length :]
        generation_config = copy(generation_config)
        generation_config.prefill_chunk_size = None
    if isinstance(cache, Cache):
        caches.begin(cache, begun=held > 0)
    return prefill(input_ids, generation_config, model_kwargs, is_first_iteration)
