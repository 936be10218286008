"""Small models of kinds that prompts meet: windows, experts, classes, encoders with decoders."""

from typing import TypeVar

import torch
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForSequenceClassification,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    MarianConfig,
    MarianMTModel,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForTokenClassification,
    T5Config,
    T5ForConditionalGeneration,
)

Model = TypeVar("Model", bound=PreTrainedModel)
DECODER = {
    "vocab_size": 64,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
ENCODER = {
    "vocab_size": 64,
    "hidden_size": 24,
    "intermediate_size": 40,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "initializer_range": 0.3,
    "num_labels": 3,
}
PAIR = {"vocab_size": 64, "d_model": 24, "decoder_start_token_id": 0, "pad_token_id": 1}

LAYERS = {
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "forced_eos_token_id": None,
}


def mistral() -> MistralForCausalLM:
    """All layers have a window that a short text exceeds."""
    return _random(MistralForCausalLM(MistralConfig(**DECODER, sliding_window=6)))


def gemma() -> Gemma3ForCausalLM:
    """Every second layer has a window."""
    kinds = ["sliding_attention", "full_attention"]
    config = Gemma3TextConfig(**DECODER, head_dim=6, sliding_window=6, layer_types=kinds)
    return _random(Gemma3ForCausalLM(config))


def mixtral() -> MixtralForCausalLM:
    """A loss reads which experts tokens chose."""
    config = MixtralConfig(**DECODER, num_local_experts=4, output_router_logits=True)
    return _random(MixtralForCausalLM(config))


def bert() -> BertForSequenceClassification:
    return _random(BertForSequenceClassification(BertConfig(**ENCODER)))


def roberta() -> RobertaForTokenClassification:
    return _random(RobertaForTokenClassification(RobertaConfig(**ENCODER)))


def t5() -> T5ForConditionalGeneration:
    config = T5Config(**PAIR, d_kv=6, d_ff=40, num_layers=2, num_heads=4, eos_token_id=None)
    return _random(T5ForConditionalGeneration(config))


def bart() -> BartForConditionalGeneration:
    return _random(BartForConditionalGeneration(BartConfig(**PAIR, **LAYERS)))


def marian() -> MarianMTModel:
    """The encoder scales the embeddings of ids, and not embeddings that it is given."""
    return _random(MarianMTModel(MarianConfig(**PAIR, **LAYERS, scale_embedding=True)))


def _random(model: Model) -> Model:
    """A model for inference with weights that are far from zero, the same each time."""
    generator = torch.Generator().manual_seed(21)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()
