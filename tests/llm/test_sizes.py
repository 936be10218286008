"""Models as large as there are, without weights: counted in full, planned in proportion."""

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

import pefc
from pefc.compiler.measure.memory.estimate import estimate
from pefc.compiler.measure.memory.setup import setup
from tests.work import calls

LAYERS, WORDS = 200, 256_000
WIDTH, INNER, NARROW = 8192, 28672, 1024
SPECS = {
    "lora": "lora(r=4) on linear",
    "dora": "lora(r=4) on attn; dora(r=4) on linear",
    "adalora": "adalora(steps=100) on linear",
    "prefix": "prefix(len=4, mlp=8) all layers",
    "qlora": "qlora(r=4)",
    "tasks": "task a { lora on linear }\ntask b { pfeiffer on ffn }\ntask c { pfeiffer on ffn }",
}


def built(layers: int, **given: int) -> PreTrainedModel:
    """A Llama of so many layers."""
    small = {"hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 4, "vocab_size": 64}
    config = LlamaConfig(num_hidden_layers=layers, num_key_value_heads=2, **{**small, **given})
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(config)


def tall(layers: int = LAYERS) -> PreTrainedModel:
    """As wide as a model of 70 thousand million parameters, and with 256,000 words."""
    wide = {"hidden_size": WIDTH, "intermediate_size": INNER, "num_attention_heads": 16}
    return built(layers, **wide, vocab_size=WORDS)


def test_a_plan_of_200_layers_counts_in_64_bits() -> None:
    plan = pefc.plan("lora(r=16) on linear; prompt(len=8)", tall())
    attention = 2 * WIDTH * WIDTH + 2 * WIDTH * NARROW
    layer = attention + 3 * WIDTH * INNER + 2 * WIDTH
    assert plan.total == LAYERS * layer + 2 * WORDS * WIDTH + WIDTH
    assert plan.total > 2**37
    ends = 2 * (WIDTH + WIDTH) + 2 * (WIDTH + NARROW) + 3 * (WIDTH + INNER)
    assert plan.trainable == LAYERS * 16 * ends + 8 * WIDTH
    assert len(plan.attachments) == 7 * LAYERS + 1


def test_a_weight_of_more_than_2_to_31_entries_is_planned() -> None:
    model = built(1, hidden_size=16384, vocab_size=WORDS)
    assert model.lm_head.weight.numel() > 2**31
    plan = pefc.plan("lora(r=8) on head; tune on embed", model)
    assert plan.trainable == 8 * (16384 + WORDS) + 16384 * WORDS


def test_logits_of_more_than_2_to_31_entries_take_their_memory() -> None:
    model = built(1, vocab_size=WORDS)
    told = estimate(pefc.plan("lora(r=2) on attn.q", model), model, setup("batch=4,len=4096"))
    logits = 4 * 4096 * WORDS * 4
    assert logits > 2**33
    assert logits < told.activations < 6 * logits


@pytest.mark.parametrize("name", SPECS)
def test_the_work_of_a_plan_grows_with_the_layers(name: str) -> None:
    """16 layers more take what 16 more have taken before."""
    pefc.plan(SPECS[name], built(2))
    few, more, many = (calls(pefc.plan, SPECS[name], built(layers)) for layers in (16, 32, 48))
    assert many - more == pytest.approx(more - few, rel=0.05)
