"""Models whose tasks have prompts of different lengths, and one row of a batch run alone."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import BambaConfig, BambaForCausalLM, PreTrainedModel

import pefc

from ..models import gpt2, llama, perturb, words
from ..runtime.prompt_models import DECODER, gemma, mistral

Build = Callable[[], PreTrainedModel]
SPEC = """\
task one { prompt(len=2) }
task two { prompt(len=5); lora(r=2) on attn.q }
"""
NAMES = ["one", "two", None, "one"]
NEW = 6
GREEDY = {"max_new_tokens": NEW, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
IDS = words(rows=len(NAMES))
TEXT = IDS.shape[1]
WINDOWED = [mistral, gemma]
DECODERS = [llama, gpt2, *WINDOWED]
CACHES = {
    "dynamic": {},
    "static": {"cache_implementation": "static"},
    "none": {"use_cache": False},
    "chunks": {"prefill_chunk_size": 3},
    "static chunks": {"cache_implementation": "static", "prefill_chunk_size": 3},
}


def bamba() -> BambaForCausalLM:
    """A layer of states, which padding must not enter, and one of attention."""
    torch.manual_seed(8)
    sizes = {"mamba_n_heads": 8, "mamba_d_head": 6, "mamba_d_state": 4, "head_dim": 6}
    return BambaForCausalLM(BambaConfig(**DECODER, **sizes, attn_layer_indices=[1])).eval()


def tasked(build: Build) -> PreTrainedModel:
    """A model in double precision with the tasks, away from where they start."""
    model = pefc.apply(SPEC, build()).double()
    perturb(model)
    return model


def left_padded() -> Tensor:
    """A mask that hides the first tokens of two rows, of which one has the shortest prompt."""
    mask = torch.ones_like(IDS)
    mask[0, :1] = 0
    mask[2, :3] = 0
    return mask


def each_alone(
    model: PreTrainedModel, ids: Tensor, call: Callable[[int, Tensor], Tensor]
) -> list[Tensor]:
    """What `call` gives for each row, as a batch of its own, under its task."""
    found = []
    for row, name in enumerate(NAMES):
        pefc.set_task(model, name)
        found.append(call(row, ids[row : row + 1]))
    return found
