"""Tiny models of every architecture, and what is true of one layer of each, stated by hand."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import transformers
from torch import nn

Slice = tuple[tuple[int, int], ...] | None
Truth = Mapping[str, tuple[tuple[str | None, Slice], ...]]
"""The roles of each linear map or expert tensor, by its path."""

SIZE = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_attention_heads": 4,
    "vocab_size": 50,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}


def plain(**roles: str | None) -> Truth:
    """Maps that carry one role each with all of their features; `__` stands for a dot."""
    return {path.replace("__", "."): ((role, None),) for path, role in roles.items()}


@dataclass(frozen=True)
class Architecture:
    """A model class, a small configuration, and the truth."""

    model: str
    config: str
    sizes: Mapping[str, object]
    layers: Mapping[str, Truth]
    """By the path of a layer, what is inside it; all other layers of its stack are the same."""
    outside: Truth
    blocks: Mapping[str, str] = field(default_factory=dict)
    """Role of the blocks inside the first layer of each stack, by path."""
    embed: tuple[str, ...] = ()
    attentions: tuple[str, ...] = ("sdpa", "eager")

    def build(self, attention: str) -> nn.Module:
        config = getattr(transformers, self.config)(**self.sizes)
        config._attn_implementation = attention
        with torch.device("meta"):
            return getattr(transformers, self.model)(config)


def _thirds(width: int) -> tuple[tuple[str, Slice], ...]:
    starts = range(0, 3 * width, width)
    return tuple((f"attn.{r}", ((s, s + width),)) for r, s in zip("qkv", starts, strict=True))


def _by_head(heads: int, width: int) -> tuple[tuple[str, Slice], ...]:
    """q, k and v of one head after the other."""
    return tuple(
        (
            f"attn.{role}",
            tuple((s, s + width) for s in range(part * width, heads * 3 * width, 3 * width)),
        )
        for part, role in enumerate("qkv")
    )


HEAD = plain(lm_head="head")
LLAMA = plain(
    self_attn__q_proj="attn.q",
    self_attn__k_proj="attn.k",
    self_attn__v_proj="attn.v",
    self_attn__o_proj="attn.o",
    mlp__gate_proj="ffn.gate",
    mlp__up_proj="ffn.up",
    mlp__down_proj="ffn.down",
)
LLAMA_BLOCKS = {"model.layers.0.self_attn": "attn", "model.layers.0.mlp": "ffn"}
BERT = plain(
    attention__self__query="attn.q",
    attention__self__key="attn.k",
    attention__self__value="attn.v",
    attention__output__dense="attn.o",
    intermediate__dense="ffn.up",
    output__dense="ffn.down",
)
GROUPED = {"num_key_value_heads": 2}


def _llama_like(name: str, **more: object) -> Architecture:
    return Architecture(
        f"{name}ForCausalLM",
        f"{name}Config" if name != "Gemma3" else "Gemma3TextConfig",
        {**SIZE, **GROUPED, **more},
        {"model.layers.0": LLAMA},
        HEAD,
        LLAMA_BLOCKS,
        ("model.embed_tokens",),
    )


def _bert_like(model: str, config: str, base: str, outside: Truth) -> Architecture:
    return Architecture(
        model,
        config,
        SIZE,
        {f"{base}encoder.layer.0": BERT},
        outside,
        {
            f"{base}encoder.layer.0.attention": "attn",
            f"{base}encoder.layer.0.output.dropout": "ffn",
        },
        (f"{base}embeddings.word_embeddings",),
    )


def _falcon(fused: tuple[tuple[str, Slice], ...], **more: object) -> Architecture:
    layer = {
        "self_attention.query_key_value": fused,
        **plain(
            self_attention__dense="attn.o",
            mlp__dense_h_to_4h="ffn.up",
            mlp__dense_4h_to_h="ffn.down",
        ),
    }
    blocks = {"transformer.h.0.self_attention": "attn", "transformer.h.0.mlp": "ffn"}
    return Architecture(
        "FalconForCausalLM",
        "FalconConfig",
        {**SIZE, **more},
        {"transformer.h.0": layer},
        HEAD,
        blocks,
        ("transformer.word_embeddings",),
    )


def _t5(feeding: Truth, **more: object) -> Architecture:
    def attention(place: int, name: str, family: str) -> Truth:
        return {f"layer.{place}.{name}.{r}": ((f"{family}.{r}", None),) for r in "qkvo"}

    def net(place: int) -> Truth:
        return {f"layer.{place}.DenseReluDense.{path}": roles for path, roles in feeding.items()}

    own = attention(0, "SelfAttention", "attn")
    return Architecture(
        "T5ForConditionalGeneration",
        "T5Config",
        {
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_layers": 2,
            "num_heads": 4,
            "vocab_size": 50,
            **more,
        },
        {
            "encoder.block.0": {**own, **net(1)},
            "decoder.block.0": {**own, **attention(1, "EncDecAttention", "xattn"), **net(2)},
        },
        HEAD,
        {
            "encoder.block.0.layer.0.SelfAttention": "attn",
            "encoder.block.0.layer.1.DenseReluDense": "ffn",
            "decoder.block.0.layer.0.SelfAttention": "attn",
            "decoder.block.0.layer.1.EncDecAttention": "xattn",
            "decoder.block.0.layer.2.DenseReluDense": "ffn",
        },
        ("encoder.embed_tokens", "decoder.embed_tokens"),
    )


def _bart_attention(name: str, family: str) -> Truth:
    names = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "out_proj": "o"}
    return {f"{name}.{path}": ((f"{family}.{role}", None),) for path, role in names.items()}


_BART_NET = plain(fc1="ffn.up", fc2="ffn.down")
_LATENT: Truth = {
    "self_attn.q_a_proj": (("attn.q", None),),
    "self_attn.q_b_proj": (("attn.q", None),),
    "self_attn.kv_a_proj_with_mqa": (("attn.k", None), ("attn.v", ((0, 8),))),
    "self_attn.kv_b_proj": (
        ("attn.k", ((0, 8), (16, 24), (32, 40), (48, 56))),
        ("attn.v", ((8, 16), (24, 32), (40, 48), (56, 64))),
    ),
    "self_attn.o_proj": (("attn.o", None),),
}

ARCHITECTURES: dict[str, Architecture] = {
    "llama": _llama_like("Llama", attention_bias=True),
    "mistral": _llama_like("Mistral", sliding_window=4),
    "qwen3": _llama_like("Qwen3", head_dim=16),
    "gemma3": _llama_like(
        "Gemma3", head_dim=16, layer_types=["sliding_attention", "full_attention"]
    ),
    "phi3": Architecture(
        "Phi3ForCausalLM",
        "Phi3Config",
        {**SIZE, **GROUPED},
        {
            "model.layers.0": {
                "self_attn.qkv_proj": (
                    ("attn.q", ((0, 32),)),
                    ("attn.k", ((32, 48),)),
                    ("attn.v", ((48, 64),)),
                ),
                "mlp.gate_up_proj": (("ffn.gate", ((0, 64),)), ("ffn.up", ((64, 128),))),
                **plain(self_attn__o_proj="attn.o", mlp__down_proj="ffn.down"),
            }
        },
        HEAD,
        LLAMA_BLOCKS,
        ("model.embed_tokens",),
    ),
    "gpt2": Architecture(
        "GPT2LMHeadModel",
        "GPT2Config",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 50, "n_positions": 16}
        | {"bos_token_id": 0, "eos_token_id": 1},
        {
            "transformer.h.0": {
                "attn.c_attn": _thirds(32),
                **plain(attn__c_proj="attn.o", mlp__c_fc="ffn.up", mlp__c_proj="ffn.down"),
            }
        },
        HEAD,
        {"transformer.h.0.attn": "attn", "transformer.h.0.mlp": "ffn"},
        ("transformer.wte",),
    ),
    "gpt-neox": Architecture(
        "GPTNeoXForCausalLM",
        "GPTNeoXConfig",
        SIZE,
        {
            "gpt_neox.layers.0": {
                "attention.query_key_value": _by_head(4, 8),
                **plain(
                    attention__dense="attn.o",
                    mlp__dense_h_to_4h="ffn.up",
                    mlp__dense_4h_to_h="ffn.down",
                ),
            }
        },
        HEAD,
        {"gpt_neox.layers.0.attention": "attn", "gpt_neox.layers.0.mlp": "ffn"},
        ("gpt_neox.embed_in",),
    ),
    "falcon-7b": _falcon(
        (("attn.q", ((0, 32),)), ("attn.k", ((32, 40),)), ("attn.v", ((40, 48),))),
        multi_query=True,
    ),
    "falcon-40b": _falcon(
        (
            ("attn.q", ((0, 16), (32, 48))),
            ("attn.k", ((16, 24), (48, 56))),
            ("attn.v", ((24, 32), (56, 64))),
        ),
        new_decoder_architecture=True,
        num_kv_heads=2,
    ),
    "falcon-1b": _falcon(_by_head(4, 8), multi_query=False, alibi=True, parallel_attn=False),
    "bloom": Architecture(
        "BloomForCausalLM",
        "BloomConfig",
        {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 50},
        {
            "transformer.h.0": {
                "self_attention.query_key_value": _by_head(4, 8),
                **plain(
                    self_attention__dense="attn.o",
                    mlp__dense_h_to_4h="ffn.up",
                    mlp__dense_4h_to_h="ffn.down",
                ),
            }
        },
        HEAD,
        {"transformer.h.0.self_attention": "attn", "transformer.h.0.mlp": "ffn"},
        ("transformer.word_embeddings",),
        ("eager",),
    ),
    "bert": _bert_like("BertModel", "BertConfig", "", plain(pooler__dense=None)),
    "bert-mlm": _bert_like(
        "BertForMaskedLM",
        "BertConfig",
        "bert.",
        plain(cls__predictions__transform__dense=None, cls__predictions__decoder="head"),
    ),
    "bert-classifier": _bert_like(
        "BertForSequenceClassification",
        "BertConfig",
        "bert.",
        plain(bert__pooler__dense=None, classifier="head"),
    ),
    "roberta": _bert_like(
        "RobertaForSequenceClassification",
        "RobertaConfig",
        "roberta.",
        plain(classifier__dense=None, classifier__out_proj="head"),
    ),
    "distilbert": Architecture(
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 4, "vocab_size": 50},
        {
            "distilbert.transformer.layer.0": plain(
                attention__q_lin="attn.q",
                attention__k_lin="attn.k",
                attention__v_lin="attn.v",
                attention__out_lin="attn.o",
                ffn__lin1="ffn.up",
                ffn__lin2="ffn.down",
            )
        },
        plain(pre_classifier=None, classifier="head"),
        {
            "distilbert.transformer.layer.0.attention": "attn",
            "distilbert.transformer.layer.0.ffn": "ffn",
        },
        ("distilbert.embeddings.word_embeddings",),
    ),
    "t5": _t5(plain(wi="ffn.up", wo="ffn.down")),
    "t5-gated": _t5(
        plain(wi_0="ffn.gate", wi_1="ffn.up", wo="ffn.down"), feed_forward_proj="gated-gelu"
    ),
    "bart": Architecture(
        "BartForConditionalGeneration",
        "BartConfig",
        {"d_model": 32, "encoder_layers": 2, "decoder_layers": 3, "vocab_size": 50}
        | {"encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
        | {"encoder_attention_heads": 4, "decoder_attention_heads": 4},
        {
            "model.encoder.layers.0": {**_bart_attention("self_attn", "attn"), **_BART_NET},
            "model.decoder.layers.0": {
                **_bart_attention("self_attn", "attn"),
                **_bart_attention("encoder_attn", "xattn"),
                **_BART_NET,
            },
        },
        HEAD,
        {
            "model.encoder.layers.0.self_attn": "attn",
            "model.encoder.layers.0.fc2": "ffn",
            "model.decoder.layers.0.self_attn": "attn",
            "model.decoder.layers.0.encoder_attn": "xattn",
            "model.decoder.layers.0.fc2": "ffn",
        },
        ("model.encoder.embed_tokens", "model.decoder.embed_tokens"),
    ),
    "vit": Architecture(
        "ViTForImageClassification",
        "ViTConfig",
        {"num_hidden_layers": 2, "hidden_size": 32, "intermediate_size": 64}
        | {"num_attention_heads": 4, "image_size": 16, "patch_size": 8},
        {
            "vit.layers.0": plain(
                attention__q_proj="attn.q",
                attention__k_proj="attn.k",
                attention__v_proj="attn.v",
                attention__o_proj="attn.o",
                mlp__fc1="ffn.up",
                mlp__fc2="ffn.down",
            )
        },
        plain(classifier="head"),
        {"vit.layers.0.attention": "attn", "vit.layers.0.mlp": "ffn"},
    ),
    "mixtral": Architecture(
        "MixtralForCausalLM",
        "MixtralConfig",
        {**SIZE, **GROUPED, "num_local_experts": 4},
        {
            "model.layers.0": {
                **{path: roles for path, roles in LLAMA.items() if path.startswith("self_attn")},
                "mlp.gate.weight": (("moe.router", None),),
                "mlp.experts.gate_up_proj": (("moe.gate", ((0, 64),)), ("moe.up", ((64, 128),))),
                "mlp.experts.down_proj": (("moe.down", None),),
            }
        },
        HEAD,
        LLAMA_BLOCKS,
        ("model.embed_tokens",),
    ),
    "deepseek-v3": Architecture(
        "DeepseekV3ForCausalLM",
        "DeepseekV3Config",
        {**SIZE, "num_key_value_heads": 4, "moe_intermediate_size": 16, "n_routed_experts": 8}
        | {"n_group": 2, "topk_group": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 1}
        | {"kv_lora_rank": 8, "q_lora_rank": 12, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8}
        | {"v_head_dim": 8},
        {
            "model.layers.0": {
                **_LATENT,
                **{path: roles for path, roles in LLAMA.items() if path.startswith("mlp")},
            },
            "model.layers.1": {
                **_LATENT,
                "mlp.gate.weight": (("moe.router", None),),
                "mlp.experts.gate_up_proj": (("moe.gate", ((0, 16),)), ("moe.up", ((16, 32),))),
                "mlp.experts.down_proj": (("moe.down", None),),
                **plain(
                    mlp__shared_experts__gate_proj="ffn.gate",
                    mlp__shared_experts__up_proj="ffn.up",
                    mlp__shared_experts__down_proj="ffn.down",
                ),
            },
        },
        HEAD,
        LLAMA_BLOCKS,
        ("model.embed_tokens",),
    ),
    "mamba": Architecture(
        "MambaForCausalLM",
        "MambaConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 50, "state_size": 4},
        {
            "backbone.layers.0": plain(
                mixer__in_proj=None, mixer__x_proj=None, mixer__dt_proj=None, mixer__out_proj=None
            )
        },
        HEAD,
        {},
        ("backbone.embeddings",),
        ("eager",),
    ),
}
