"""Models with new tokens, and what they must compute, by way of the same models without."""

from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pefc.runtime.prompts.backbone import Stem, stem_names
from pefc.runtime.prompts.generate import generating_names
from pefc.runtime.prompts.prompts import OnePrompt

LENGTH = 4
PROMPTS = OnePrompt(lambda stem: stem.added, LENGTH)
NEW = 8
Model = TypeVar("Model", bound=PreTrainedModel)
GREEDY = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}


def change(module: nn.Module, names: dict[str, object]) -> None:
    """Give a module a subclass of its class."""
    base = type(module)
    names |= {"__module__": base.__module__, "__qualname__": base.__qualname__}
    module.__class__ = type(base.__name__, (base,), names)


def prompted(
    model: Model, *, stem: PreTrainedModel | None = None, rows: int | None = None, shift: int = 0
) -> tuple[Model, nn.Parameter]:
    """A model whose stem has a prompt, and the prompt."""
    stem = stem or model.base_model
    width = stem.get_input_embeddings().weight.shape[1]
    generator = torch.Generator().manual_seed(11)
    shape = (LENGTH, width) if rows is None else (rows, LENGTH, width)
    prompt = nn.Parameter(torch.randn(shape, generator=generator))
    stem.register_parameter("added", prompt)
    trims = not model.config.is_encoder_decoder
    change(stem, stem_names(type(stem), Stem(PROMPTS, shift, trims)))
    if hasattr(model, "generate"):
        change(model, generating_names(type(model), PROMPTS))
    return model, prompt


def longer(model: PreTrainedModel, prompt: Tensor, ids: Tensor) -> Tensor:
    """The embeddings of new tokens and of a text; each row of prompts serves as many rows."""
    text = model.get_input_embeddings()(ids)
    if prompt.ndim == 2:
        prompt = prompt.expand(len(ids), -1, -1)
    return torch.cat((prompt.repeat_interleave(len(ids) // len(prompt), 0), text), 1)


def wider(mask: Tensor) -> Tensor:
    return torch.cat((mask.new_ones(len(mask), LENGTH), mask), 1)


def expected(
    model: PreTrainedModel, prompt: Tensor, ids: Tensor, mask: Tensor | None = None, **given: Tensor
) -> Tensor:
    """The logits at the tokens of a text, from a model without a prompt."""
    mask = None if mask is None else wider(mask)
    embeddings = longer(model, prompt, ids)
    output = model(inputs_embeds=embeddings, attention_mask=mask, use_cache=False, **given)
    return output.logits[:, LENGTH:]


def counted(mask: Tensor) -> Tensor:
    """The positions that `generate` gives to a text after padding, and those before them."""
    text = (mask.cumsum(-1) - 1).masked_fill(mask == 0, 0) + LENGTH
    return torch.cat((torch.arange(LENGTH).expand(len(mask), -1), text), 1)


@torch.no_grad()
def greedy(
    model: PreTrainedModel, prompt: Tensor, ids: Tensor, mask: Tensor | None = None
) -> Tensor:
    """A text with the likeliest tokens after it, each from a forward over all before it."""
    for _ in range(NEW):
        given = {} if mask is None else {"position_ids": counted(mask)}
        logits = expected(model, prompt, ids, mask, **given)
        ids = torch.cat((ids, logits[:, -1].argmax(-1, keepdim=True)), 1)
        mask = None if mask is None else torch.cat((mask, mask.new_ones(len(mask), 1)), 1)
    return ids
