"""Models with a spec applied and its tensors away from their initial values, in float64."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache

import torch
from torch import Tensor, nn

import pefc

from ..models import Sdpa, bert, gpt2, llama, perturb, sdpa, words
from ..runtime.prompt_models import mistral, t5

Build = Callable[[], nn.Module]
LENGTH = 3
ATTENTION = {
    "prefix": "prefix(len=3) all layers",
    "mlp": "prefix(len=3, mlp=5) all layers",
    "zero": "prefix(len=3, init=zero) all layers",
    "adapter": "llama_adapter(len=3) all layers",
}
TOKENS = {
    "prompt": "prompt(len=3)",
    "p_tuning": "p_tuning(len=3, h=5, encoder=lstm)",
}
COMBINED = "prefix(len=3) all layers; lora(r=2) on attn.{q,v}; adapter(r=2) on ffn; prompt(len=2)"
SPECS = {**ATTENTION, **TOKENS, "combined": COMBINED}
WRITERS = (llama, mistral, gpt2, t5)
BUILDS = (*WRITERS, bert, sdpa)

IDS = words(length=9)
LEFT, RIGHT = torch.ones_like(IDS), torch.ones_like(IDS)
LEFT[0, :3] = 0
RIGHT[0, 6:] = 0


@cache
def _tuned(build: Build, spec: str) -> nn.Module:
    torch.manual_seed(31)
    model = pefc.apply(spec, build().double())
    perturb(model)
    return model


def tuned(build: Build, spec: str) -> nn.Module:
    """A model of one's own; the same one each time."""
    return deepcopy(_tuned(build, spec))


def output(model: nn.Module, ids: Tensor = IDS, **given: Tensor | None) -> Tensor:
    """What a model computes from token ids."""
    if isinstance(model, Sdpa):
        return model(ids)
    if model.config.is_encoder_decoder:
        return model(ids, decoder_input_ids=IDS[: len(ids), :5], **given)[0]
    return model(ids, **given)[0]


def named(build: Build) -> str:
    return build.__name__


def assert_near(actual: Tensor, expected: Tensor, atol: float = 1e-12) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=atol)
