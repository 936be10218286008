"""The memory of a step of training, told without values, beside what a step takes."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import pefc
from pefc.compiler.memory import Live, estimate, setup
from pefc.compiler.memory.rehearsal import step

from ..cli.conftest import Run, run, spec  # noqa: F401
from ..house.pages import write_model
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
    "batch=4,len=64",
    "batch=4,len=64,dtype=bf16,optimizer=adamw8bit",
    "batch=2,len=96,dtype=bf16,padding",
    "batch=4,len=64,checkpointing",
)
CLOSE = 0.02
"""What is kept beside tensors that were counted: steps of optimizers, offsets of scales."""


def model() -> LlamaForCausalLM:
    """Wide enough that no part of the memory is too small to be missed."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return LlamaForCausalLM(config)


@pytest.mark.parametrize("text", SETUPS)
@pytest.mark.parametrize("name", SPECS)
def test_what_is_told_is_what_a_step_takes(name: str, text: str) -> None:
    wanted = setup(text)
    with torch.device("meta"):
        empty = model()
    told = estimate(pefc.plan(SPECS[name], empty), empty, wanted)
    whole, kept = measured(SPECS[name], model().to(wanted.dtype), wanted)
    assert told.sum == pytest.approx(whole, rel=CLOSE)
    assert told.optimizer == pytest.approx(kept, rel=CLOSE)


@pytest.mark.parametrize("build", (*BUILDERS, sdpa), ids=lambda build: build.__name__)
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


def test_the_task_that_takes_most_counts() -> None:
    base, wanted = model(), setup("batch=2,len=24")
    small, large = "task a { lora(r=1) on attn.q in layers -1 }", "task b { lora on linear }"

    def told(text: str) -> int:
        return estimate(pefc.plan(text, base), base, wanted).activations

    assert told(small) < told(large)
    both = estimate(pefc.plan(f"{small}\n{large}", base), base, wanted)
    alone = estimate(pefc.plan(large, base), base, wanted)
    assert both.activations + both.gradients >= alone.activations + alone.gradients


def test_as_few_layers_as_may_be_are_dropped() -> None:
    base, wanted = model(), setup("batch=2,len=24")
    dropped = estimate(
        pefc.plan("adapterdrop(1..2, eval=0) { adapter on ffn }", base), base, wanted
    )
    whole = estimate(pefc.plan("adapter on ffn in layers 1..2", base), base, wanted)
    peaks = [memory.gradients + memory.activations for memory in (dropped, whole)]
    # The gradients of the adapter that goes without are zero and take room all the same.
    assert peaks[0] == pytest.approx(peaks[1], rel=CLOSE)


def test_a_configuration_names_the_dtype(tmp_path: Path, run: Run, spec: Callable[..., str]) -> None:  # noqa: F811
    write_model(tmp_path)
    path = tmp_path / "my-llama" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "dtype": "bfloat16"}))
    result = run("plan", spec("lora on attn.q"), "my-llama", "--train", "batch=1,len=8", "--json")
    memory = json.loads(result.stdout)["memory"]
    assert memory["step"]["dtype"] == "bfloat16"
    assert set(memory["base"]) == {"bfloat16", "float32"}  # buffers stay as they are
    parts = ("adapter", "optimizer", "gradients", "activations")
    assert memory["sum"] == sum(memory["base"].values()) + sum(memory[part] for part in parts)
    assert memory["adapter"] == 2 * 4 * 8 * (256 + 256)
