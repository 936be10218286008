"""Small models that differ in what life after `apply` depends on: storage, biases, slices, ties."""

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrizations
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

Model = TypeVar("Model", bound=nn.Module)
WIDTH = 24
WORDS = 64


class Plain(nn.Module):
    """An attention layer whose attributes say nothing."""

    def __init__(self, *, bias: bool = True) -> None:
        super().__init__()
        self.e = nn.Embedding(WORDS, WIDTH)
        self.a = nn.Linear(WIDTH, WIDTH, bias=bias)
        self.b = nn.Linear(WIDTH, WIDTH, bias=bias)
        self.c = nn.Linear(WIDTH, WIDTH, bias=bias)
        self.d = nn.Linear(WIDTH, WIDTH, bias=bias)
        self.wide = nn.Linear(WIDTH, 40, bias=bias)
        self.tall = nn.Linear(40, WIDTH, bias=bias)

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.e(input_ids)
        scores = self.a(x) @ self.b(x).transpose(-1, -2) / WIDTH**0.5
        x = x + self.d(torch.softmax(scores, -1) @ self.c(x))
        return x + self.tall(torch.relu(self.wide(x)))


class Step(nn.Module):
    """A layer with its maps straight in it: norms before the branches, one call of the product."""

    def __init__(self, *, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.m, self.n = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.c, self.d = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.f, self.g = nn.Linear(WIDTH, 40), nn.Linear(40, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        z = self.m(x)
        k, q, v = (
            f(z).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.a, self.b, self.c)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.d(mixed.transpose(1, 2).flatten(2))
        return x + self.g(torch.relu(self.f(self.n(x))))


class Sdpa(nn.Module):
    """Two causal layers, whose keys come before their queries."""

    def __init__(self) -> None:
        super().__init__()
        self.e = nn.Embedding(WORDS, WIDTH)
        self.s = nn.ModuleList(Step() for _ in range(2))

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        x = self.e(input_ids)
        for step in self.s:
            x = step(x)
        return x


class Mean(nn.Module):
    """Subtracts a moving average, which it notes while it trains."""

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean.mul_(0.9).add_(x.detach().mean(0), alpha=0.1)
        return x if self.mean is None else x - self.mean


class Buffered(nn.Module):
    """Pictures to numbers, with all kinds of buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.batch = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.up, self.norm = nn.Linear(8, 16), nn.BatchNorm1d(16)
        self.down = parametrizations.spectral_norm(nn.Linear(16, 4))
        self.scale, self.last = Mean(), nn.Linear(4, 3)
        self.register_buffer("scratch", torch.zeros(2), persistent=False)
        self.register_buffer("packed", torch.arange(4).view(2, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.batch(self.first(x))).mean((2, 3))
        return self.last(self.scale(self.down(torch.relu(self.norm(self.up(x))))))


class Pair(nn.Module):
    """A norm, one rectangular map with a bias, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(48)
        self.map = nn.Linear(48, 32)
        self.head = nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.map(self.norm(x)))


def llama(*, layers: int = 2, tied: bool = False) -> LlamaForCausalLM:
    """Four heads of queries share two of keys and values; no biases."""
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=40,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        initializer_range=0.3,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return _with_biases(LlamaForCausalLM(config))


def gpt2(*, layers: int = 2) -> GPT2LMHeadModel:
    """Weights are stored [in, out]; q, k and v are thirds of one map; the head is the embedding."""
    torch.manual_seed(2)
    config = GPT2Config(
        vocab_size=WORDS,
        n_positions=32,
        n_embd=WIDTH,
        n_layer=layers,
        n_head=4,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    return _with_biases(GPT2LMHeadModel(config))


def neox() -> GPTNeoXForCausalLM:
    """q, k and v alternate, head by head, in one map."""
    torch.manual_seed(3)
    config = GPTNeoXConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    return _with_biases(GPTNeoXForCausalLM(config))


def bert(*, layers: int = 2) -> BertModel:
    """An encoder, with biases everywhere."""
    torch.manual_seed(4)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=WIDTH,
        intermediate_size=40,
        num_hidden_layers=layers,
        num_attention_heads=4,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    return _with_biases(BertModel(config))


def plain() -> Plain:
    torch.manual_seed(5)
    return _with_biases(Plain())


def sdpa() -> Sdpa:
    torch.manual_seed(9)
    return _with_biases(Sdpa())


def pair() -> Pair:
    torch.manual_seed(8)
    return _with_biases(Pair())


def _with_biases(model: Model) -> Model:
    """The model for inference, with biases that are not all zero."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.3)
    return model.eval()


BUILDERS: tuple[Callable[[], nn.Module], ...] = (llama, gpt2, neox, bert, plain)


def words(*, rows: int = 2, length: int = 7) -> torch.Tensor:
    """Token ids that every model here reads; none of them ends a text."""
    generator = torch.Generator().manual_seed(6)
    return torch.randint(2, WORDS, (rows, length), generator=generator)


def pictures(seed: int = 0, *, rows: int = 4) -> torch.Tensor:
    """Noise in three colours."""
    return torch.randn(rows, 3, 16, 16, generator=torch.Generator().manual_seed(seed))


def output(model: nn.Module, ids: torch.Tensor | None = None) -> torch.Tensor:
    """What a model computes from token ids."""
    ids = words() if ids is None else ids
    if isinstance(model, Plain | Sdpa):
        return model(ids)
    if isinstance(model, BertModel):
        return model(ids).last_hidden_state
    return model(ids, use_cache=False).logits


def perturb(model: nn.Module, *, scale: float = 0.3, seed: int = 7) -> None:
    """Move every trained parameter away from where it starts: zeros hide mistakes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.to(parameter), alpha=scale)
