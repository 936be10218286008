"""What is compared with HF PEFT at attention and at the tokens, on models of each kind."""

import torch
from peft import (
    AdaptionPromptConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
)
from transformers import LlamaForCausalLM

from ..models import WIDTH, bert, gpt2, llama
from ..runtime.prompt_models import t5
from .prompted import LENGTH, Case, adapter, encoder, projection, table

LAYERS = range(2)
LLAMA = tuple(f"model.layers.{layer}.self_attn" for layer in LAYERS)
GPT2 = tuple(f"transformer.h.{layer}.attn" for layer in LAYERS)
BERT = tuple(f"encoder.layer.{layer}.attention.self" for layer in LAYERS)
HIDDEN = 5
_MLP = {
    "embedding.weight": "E",
    **{
        f"mlp_head.{index}.{kind}": f"{name}.{kind}"
        for index, name in ((0, "f"), (2, "g"), (4, "o"))
        for kind in ("weight", "bias")
    },
}
_LSTM = {
    "embedding.weight": "E",
    **{
        f"lstm_head.{name}": f"R.{name}"
        for name, _ in torch.nn.LSTM(1, 1, 2, bidirectional=True).named_parameters()
    },
    **{
        f"mlp_head.{index}.{kind}": f"{name}.{kind}"
        for index, name in ((0, "f"), (2, "o"))
        for kind in ("weight", "bias")
    },
}


def even() -> LlamaForCausalLM:
    """A head of keys for each head of queries."""
    config = llama().config
    config.num_key_value_heads = config.num_attention_heads
    torch.manual_seed(12)
    return LlamaForCausalLM(config).eval()


def _prefix(task: str = "CAUSAL_LM", **options: int | bool) -> PrefixTuningConfig:
    return PrefixTuningConfig(task_type=task, num_virtual_tokens=LENGTH, **options)


def _mlp(build: object, name: str) -> Case:
    spec = f"prefix(len={LENGTH}, mlp={HIDDEN}, shift) all layers"
    config = _prefix(prefix_projection=True, encoder_hidden_size=HIDDEN)
    return Case(f"projection-{name}", build, spec, config, projection(WIDTH))


_TABLE = f"prefix(len={LENGTH}, shift) all layers"
PREFIXES = (
    Case("prefix-even-heads", even, _TABLE, _prefix(), table(LLAMA, 4)),
    Case("prefix-grouped-heads", llama, _TABLE, _prefix(), table(LLAMA, 2)),
    Case("prefix-gpt2", gpt2, _TABLE, _prefix(), table(GPT2, 4)),
    Case("prefix-bert", bert, _TABLE, _prefix("FEATURE_EXTRACTION"), table(BERT, 4)),
    _mlp(even, "even-heads"),
    _mlp(llama, "grouped-heads"),
    _mlp(gpt2, "gpt2"),
)

ADAPTERS = tuple(
    Case(
        f"llama-adapter-{name}",
        build,
        "llama_adapter(len=3) all layers",
        AdaptionPromptConfig(task_type="CAUSAL_LM", adapter_len=LENGTH, adapter_layers=2),
        adapter(LLAMA),
    )
    for build, name in ((even, "even-heads"), (llama, "grouped-heads"))
)

# The stems, which the tensors belong to, and PEFT's name for the task. The encoder alone reads a
# prompt on both sides; with one submodule PEFT has no rows that only its LSTM reads.
_STEMS = (
    (llama, "model.", "CAUSAL_LM"),
    (gpt2, "transformer.", "CAUSAL_LM"),
    (t5, "encoder.", "SEQ_2_SEQ_LM"),
    (bert, "", "FEATURE_EXTRACTION"),
)


def _tokens() -> list[Case]:
    cases = []
    for build, stem, task in _STEMS:
        options = {"task_type": task, "num_virtual_tokens": LENGTH, "num_transformer_submodules": 1}
        hidden = {**options, "encoder_hidden_size": HIDDEN}
        encoders = {
            "mlp": PromptEncoderConfig(**hidden, encoder_reparameterization_type="MLP"),
            "lstm": PromptEncoderConfig(**hidden, encoder_reparameterization_type="LSTM"),
        }
        cases.append(
            Case(
                f"prompt-{build.__name__}",
                build,
                f"prompt(len={LENGTH})",
                PromptTuningConfig(**options),
                encoder({"embedding.weight": "P"}, f"{stem}prompt"),
            )
        )
        for kind, config in encoders.items():
            spec = f"p_tuning(len={LENGTH}, encoder={kind}, h={HIDDEN})"
            shares = encoder(_MLP if kind == "mlp" else _LSTM, f"{stem}p_tuning")
            cases.append(Case(f"p-tuning-{kind}-{build.__name__}", build, spec, config, shares))
    return cases


TOKENS = tuple(_tokens())
