"""Attentions behind a gate against their definition, in a function registered as a whole."""

import pytest
import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from ..models import bert, gpt2, llama
from ..runtime.prompt_models import mistral, t5
from .tuned import ATTENTION, LEFT, RIGHT, Build, assert_near, named, output, tuned

NAME = "gated_reference"
MAPS = (("k_proj", "v_proj"), ("k", "v"), ("key", "value"))


def gated(
    module: nn.Module, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, **options: object
) -> tuple[Tensor, None]:
    """The attention of the model and, head by head, `g * softmax(q K) V`."""
    context, _ = sdpa_attention_forward(module, q, k, v, mask, **options)
    gate, keys, values = module.gated
    scale = options.get("scaling") or q.shape[-1] ** -0.5
    group = q.shape[1] // keys.shape[1]
    added = [
        gate[head % len(gate)]
        * (q[:, head] @ keys[:, head // group].T * scale).softmax(-1)
        @ values[:, head // group]
        for head in range(q.shape[1])
    ]
    return context + torch.stack(added, 2), None


AttentionInterface.register(NAME, gated)
AttentionMaskInterface.register(NAME, sdpa_mask)


def seen(module: nn.Module, prompt: Tensor, width: int) -> list[Tensor]:
    """Keys and values of a prompt by the maps of an attention module, by heads."""
    if hasattr(module, "c_attn"):
        found = module.c_attn(prompt).chunk(3, -1)[1:]
    else:
        names = next(names for names in MAPS if hasattr(module, names[0]))
        found = [getattr(module, name)(prompt) for name in names]
    return [rows.unflatten(-1, (-1, width)) for rows in found]


def reference(build: Build, model: nn.Module, method: str) -> nn.Module:
    """A model without pefc that reads the tensors of one with it."""
    base = build().double()
    base.set_attn_implementation(NAME)
    tensors = dict(model.named_parameters())
    for place in {name.removesuffix(f".{method}.g") for name in tensors if name.endswith(".g")}:
        module, gate = base.get_submodule(place), tensors[f"{place}.{method}.g"]
        if method == "prefix":
            rows = [tensors[f"{place}.prefix.{name}"] for name in "KV"]
        else:
            rows = seen(module, tensors[f"{place}.{method}.P"], 6)
        module.gated = (gate, *rows)
    return base


@pytest.mark.parametrize("mask", [None, LEFT, RIGHT], ids=["none", "left", "right"])
@pytest.mark.parametrize("method", ["prefix", "llama_adapter"])
@pytest.mark.parametrize("build", [llama, mistral, gpt2, t5, bert], ids=named)
@torch.no_grad()
def test_gated_attention(build: Build, method: str, mask: Tensor | None) -> None:
    model = tuned(build, ATTENTION["zero" if method == "prefix" else "adapter"])
    expected = output(reference(build, model, method), attention_mask=mask)
    kept = ... if mask is None or build is t5 else mask.bool()
    assert_near(output(model, attention_mask=mask)[kept], expected[kept])
