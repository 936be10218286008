"""Models of every kind of block, and where by hand the values of each block pass."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from transformers import T5ForConditionalGeneration, ViTConfig, ViTModel

from ..models import bert, gpt2, llama, output, plain, sdpa, words
from ..runtime.prompt_models import t5

LAYERS = range(2)


@dataclass(frozen=True, slots=True)
class Value:
    """An argument of a module's call."""

    module: str
    name: str
    """How the module's forward calls it."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block, as its author wrote it."""

    role: str
    exit: str
    """The module whose output the residual is added to."""
    x: Value
    residual: Value
    join: Value | None
    """What reads y + residual; None where it is what the model returns."""
    norm: str | None = None
    """The norm behind the join."""


def vit() -> ViTModel:
    """Four patches and a class token; no ids."""
    torch.manual_seed(14)
    config = ViTConfig(
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=8,
        patch_size=4,
        initializer_range=0.3,
    )
    return ViTModel(config, add_pooling_layer=False).eval()


def computed(model: nn.Module) -> torch.Tensor:
    """What a model computes from ids or pixels that never change."""
    if isinstance(model, ViTModel):
        generator = torch.Generator().manual_seed(15)
        pixels = torch.randn(2, 3, 8, 8, generator=generator)
        return model(pixels.to(next(model.parameters()).dtype)).last_hidden_state
    if isinstance(model, T5ForConditionalGeneration):
        return model(words(), decoder_input_ids=words(length=9), use_cache=False).logits
    return output(model)


def _pre_norm(
    names: tuple[str, str, str, str, str, str], last: str, attention: str
) -> Iterator[Block]:
    """Layers with a norm before each branch: (layers, norm, attention, norm, net, input)."""
    layers, first, attn, second, net, inside = names
    for number in LAYERS:
        layer = f"{layers}.{number}"
        following = f"{layers}.{number + 1}.{first}" if number + 1 in LAYERS else last
        yield Block(
            "attn",
            f"{layer}.{attn}",
            Value(f"{layer}.{attn}", attention),
            Value(f"{layer}.{first}", inside),
            Value(f"{layer}.{second}", inside),
        )
        yield Block(
            "ffn",
            f"{layer}.{net}",
            Value(f"{layer}.{net}", "x" if net == "mlp" and inside == attention else attention),
            Value(f"{layer}.{second}", inside),
            Value(following, inside),
        )


_LLAMA = ("model.layers", "input_layernorm", "self_attn", "post_attention_layernorm", "mlp")
_VIT = ("layers", "layernorm_before", "attention", "layernorm_after", "mlp", "input")
_GPT2 = ("transformer.h", "ln_1", "attn", "ln_2", "mlp", "input")


def _bert() -> Iterator[Block]:
    for number in LAYERS:
        layer = f"encoder.layer.{number}"
        for role, inside, reader in (
            ("attn", f"{layer}.attention", f"{layer}.attention"),
            ("ffn", layer, f"{layer}.intermediate"),
        ):
            end, x = f"{inside}.output", Value(reader, "hidden_states")
            norm = f"{end}.LayerNorm"
            yield Block(role, f"{end}.dropout", x, x, Value(norm, "input"), norm)


def _t5() -> Iterator[Block]:
    for stack, roles in (("encoder", ("attn", "ffn")), ("decoder", ("attn", "xattn", "ffn"))):
        names = {"attn": "SelfAttention", "xattn": "EncDecAttention", "ffn": "DenseReluDense"}
        for number in LAYERS:
            for place, role in enumerate(roles):
                step = f"{stack}.block.{number}.layer.{place}"
                norm = f"{step}.layer_norm"
                following = f"{stack}.block.{number}.layer.{place + 1}.layer_norm"
                if place + 1 == len(roles):
                    following = f"{stack}.block.{number + 1}.layer.0.layer_norm"
                if place + 1 == len(roles) and number + 1 not in LAYERS:
                    following = f"{stack}.final_layer_norm"
                yield Block(
                    role,
                    f"{step}.dropout",
                    Value(f"{step}.{names[role]}", "hidden_states"),
                    Value(norm, "hidden_states"),
                    Value(following, "hidden_states"),
                )


def _plain() -> Iterator[Block]:
    a, wide = Value("a", "input"), Value("wide", "input")
    yield Block("attn", "d", a, a, wide)
    yield Block("ffn", "tall", wide, wide, None)


def _sdpa() -> Iterator[Block]:
    for number in LAYERS:
        step, last = f"s.{number}", number + 1 not in LAYERS
        first, second = Value(f"{step}.m", "input"), Value(f"{step}.n", "input")
        following = None if last else Value(f"s.{number + 1}.m", "input")
        yield Block("attn", f"{step}.d", Value(f"{step}.a", "input"), first, second)
        yield Block("ffn", f"{step}.g", Value(f"{step}.f", "input"), second, following)


@dataclass(frozen=True, slots=True)
class Kind:
    """A model with its blocks."""

    build: Callable[[], nn.Module]
    blocks: tuple[Block, ...]

    @property
    def name(self) -> str:
        return self.build.__name__


KINDS = (
    Kind(llama, tuple(_pre_norm((*_LLAMA, "hidden_states"), "model.norm", "hidden_states"))),
    Kind(gpt2, tuple(_pre_norm(_GPT2, "transformer.ln_f", "hidden_states"))),
    Kind(bert, tuple(_bert())),
    Kind(t5, tuple(_t5())),
    Kind(vit, tuple(_pre_norm(_VIT, "layernorm", "hidden_states"))),
    Kind(plain, tuple(_plain())),
    Kind(sdpa, tuple(_sdpa())),
)
