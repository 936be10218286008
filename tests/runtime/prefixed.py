"""Small models with random prefixes, by a patch and by a reference that knows nothing of it."""

import copy
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    BertConfig,
    BertModel,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GptOssConfig,
    GptOssForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.masking_utils import eager_mask

from pefc.runtime.attention.forward import Call, attention_forward, extended

Model = TypeVar("Model", bound=nn.Module)
LENGTH = 3
WINDOW = 4
_DECODER = {
    "vocab_size": 64,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": None,
}


def llama() -> PreTrainedModel:
    return LlamaForCausalLM(LlamaConfig(**_DECODER))


def mistral() -> PreTrainedModel:
    return MistralForCausalLM(MistralConfig(**_DECODER, sliding_window=WINDOW))


def gemma2() -> PreTrainedModel:
    """One layer with a window and one without; scores are capped."""
    return Gemma2ForCausalLM(Gemma2Config(**_DECODER, sliding_window=WINDOW))


def gpt_oss() -> PreTrainedModel:
    """Each head has a sink."""
    experts = {"num_local_experts": 2, "num_experts_per_tok": 1}
    rope = {"rope_type": "default", "rope_theta": 1e4}
    config = GptOssConfig(**_DECODER, **experts, sliding_window=WINDOW, rope_parameters=rope)
    config._experts_implementation = "eager"
    return GptOssForCausalLM(config)


def gpt2() -> PreTrainedModel:
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "vocab_size": 64}
    dropout = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0}
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": None}
    return GPT2LMHeadModel(GPT2Config(**sizes, **dropout, **ids))


def bert() -> PreTrainedModel:
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    return BertModel(BertConfig(**sizes, num_attention_heads=4, vocab_size=64))


def t5() -> PreTrainedModel:
    sizes = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    ids = {"decoder_start_token_id": 0, "eos_token_id": None, "pad_token_id": 0}
    return T5ForConditionalGeneration(T5Config(**sizes, **ids, vocab_size=64, dropout_rate=0.0))


def seeded(make: Callable[[], PreTrainedModel], dtype: torch.dtype = torch.float64) -> nn.Module:
    """A model whose attention modules have a random prefix of keys and of values each, `prefix`
    [2, len, kv_heads, head_dim], that nothing reads yet. All weights are random: at the scale of
    a fresh model attention hardly tells one key from another.
    """
    torch.manual_seed(0)
    model = make().to(dtype).eval()
    for module in attentions(model):
        heads, width = _shape(module)
        module.prefix = nn.Parameter(torch.empty(2, LENGTH, heads, width, dtype=dtype))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5 if parameter.dim() > 1 else 1.0)
    return model


def attentions(model: nn.Module) -> list[nn.Module]:
    found = ("Attention", "SelfAttention")
    return [
        module
        for module in model.modules()
        if type(module).__name__.endswith(found)
        and hasattr(module, "config")
        and not type(module).__name__.endswith(("LayerSelfAttention", "BertAttention"))
    ]


def _shape(module: nn.Module) -> tuple[int, int]:
    config = module.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or getattr(config, "d_kv", None)
    return heads, width or config.hidden_size // config.num_attention_heads


def attend(
    module: nn.Module, call: Call, q: Tensor, keys: Tensor, values: Tensor, _scale: float
) -> Tensor:
    """The prefix of the module before its keys and values."""
    before, after = module.prefix
    return call(q, extended(keys, before), extended(values, after), LENGTH)


def untouched(
    _module: nn.Module, call: Call, q: Tensor, keys: Tensor, values: Tensor, _scale: float
) -> Tensor:
    return call(q, keys, values, 0)


def patched(model: Model, attend: Callable[..., Tensor] = attend) -> Model:
    """A copy of a model with a patch on every attention module."""
    copied = copy.deepcopy(model)
    for module in attentions(copied):
        patch(module, attend)
    return copied


def patch(module: nn.Module, attend: Callable[..., Tensor], channel: str = "interface") -> None:
    base = type(module)
    module.__class__ = type(base.__name__, (base,), attention_forward(base, attend, channel))


def referring(model: Model) -> Model:
    """A copy of a model in which a function that is registered as a whole reads the prefixes."""
    copied = copy.deepcopy(model)
    copied.set_attn_implementation("prefix_reference")
    return copied


def _reference(  # noqa: PLR0913, PLR0917  # the signature of an attention function
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    position_bias: Tensor | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attention by its definition, with a column of scores for every key of the prefix."""
    groups, scores = query.shape[1] // key.shape[1], []
    for sequence in (module.prefix[0].transpose(0, 1)[None], key):
        spread = sequence.repeat_interleave(groups, 1).transpose(2, 3)
        score = query @ spread * scaling
        scores.append(softcap * torch.tanh(score / softcap) if softcap else score)
    for bias in (position_bias, attention_mask):
        if bias is not None:
            scores[1] = scores[1] + bias
    if s_aux is not None:
        sinks = s_aux.view(1, -1, 1, 1).expand(*scores[1].shape[:3], 1)
        weights = torch.cat([*scores, sinks], -1).softmax(-1)[..., :-1]
    else:
        weights = torch.cat(scores, -1).softmax(-1)
    before, after = weights.split([LENGTH, key.shape[2]], -1)
    first = module.prefix[1].transpose(0, 1)[None].repeat_interleave(groups, 1)
    context = before @ first + after @ value.repeat_interleave(groups, 1)
    return context.transpose(1, 2).contiguous(), None


AttentionInterface.register("prefix_reference", _reference)
AttentionMaskInterface.register("prefix_reference", eager_mask)
