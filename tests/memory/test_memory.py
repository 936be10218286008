"""The memory of a step of training, told without values, beside what a step takes."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import pefc
from pefc.compiler.measure.memory.estimate import estimate
from pefc.compiler.measure.memory.meta_step import Live, step
from pefc.compiler.measure.memory.setup import setup

from ..models import BUILDERS, sdpa
from .measuring import measured

SPECS = {
    "lora": "lora(r=8) on linear",
    "dropout": "lora(r=8, dropout=0.1) on attn.{q,v}",
    "adapter": "adapter(r=16) on ffn",
    "prefix": "prefix(len=20) all layers",
    "norms": "tune on norm",
    "everything": "tune on linear, norm",
    "qlora": "quantize(nf4, double) on linear except head; lora(r=8) on linear",
    "qdora": "quantize(nf4) on linear except head; dora(r=4) on attn.q",
    "int8": "quantize(int8) on linear except head; lora(r=8) on attn.{q,v}",
}
SETUPS = (
    *((name, "batch=4,len=64") for name in SPECS),
    *((name, "batch=4,len=64,dtype=bf16,optimizer=adamw8bit") for name in SPECS),
    *((name, "batch=2,len=96,dtype=bf16,padding") for name in ("lora", "prefix")),
    *((name, "batch=4,len=64,checkpointing") for name in ("dropout", "qlora")),
)
CLOSE = 0.02
"""What is kept beside tensors that were counted: steps of optimizers, offsets of scales."""


def model() -> LlamaForCausalLM:
    """Wide enough that no part of the memory is too small to be missed."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config)


@pytest.mark.parametrize(("name", "text"), SETUPS)
def test_what_is_told_is_what_a_step_takes(name: str, text: str) -> None:
    wanted = setup(text)
    with torch.device("meta"):
        empty = model()
    told = estimate(pefc.plan(SPECS[name], empty), empty, wanted)
    whole, kept = measured(SPECS[name], model().to(wanted.dtype), wanted)
    assert told.sum == pytest.approx(whole, rel=CLOSE)
    assert told.optimizer == pytest.approx(kept, rel=CLOSE)


@pytest.mark.parametrize("build", [*BUILDERS, sdpa], ids=lambda build: build.__name__)
def test_other_models(build: Callable[[], nn.Module]) -> None:
    """With a loss and without one, with a configuration and without one."""
    wanted, text = setup("batch=2,len=24"), "lora(r=2) on linear"
    base = build()
    before = deepcopy(base.state_dict())
    told = estimate(pefc.plan(text, base), base, wanted)
    assert all(torch.equal(before[name], value) for name, value in base.state_dict().items())
    pefc.apply(text, base).train()
    held = [*base.parameters(), *base.buffers()]
    with Live(held) as live:
        step(base, wanted)
    assert told.gradients + told.activations == live.peak


@pytest.mark.parametrize("order", [1, -1])
def test_the_task_that_takes_most_counts(order: int) -> None:
    base, wanted = model(), setup("batch=2,len=24")
    small, large = "task a { lora(r=1) on attn.q in layers -1 }", "task b { lora on linear }"

    def step_of(text: str) -> int:
        memory = estimate(pefc.plan(text, base), base, wanted)
        return memory.gradients + memory.activations

    assert step_of("\n".join([small, large][::order])) == step_of(large)


def test_as_few_layers_as_may_be_are_dropped() -> None:
    base, wanted = model(), setup("batch=2,len=24")
    texts = ("adapterdrop(1..2, eval=0) { adapter on ffn }", "adapter on ffn in layers 1..1")
    told = [estimate(pefc.plan(text, base), base, wanted) for text in texts]
    peaks = [memory.gradients + memory.activations for memory in told]
    # The gradients of the adapter that goes without are zero and take room all the same.
    assert peaks[0] == pytest.approx(peaks[1], rel=CLOSE)


def test_a_packed_base_is_told_like_one_to_pack() -> None:
    wanted = setup("batch=2,len=24")
    plain, quantized = model(), pefc.apply("quantize(nf4, double) on linear", model())
    text = "quantize(nf4, double) on linear; lora on attn.q"
    assert estimate(pefc.plan(text, plain), plain, wanted) == estimate(
        pefc.plan(text, quantized), quantized, wanted
    )
