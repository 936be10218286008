"""Small models that differ in what parity depends on: shapes, biases, storage, shared heads."""

import torch
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

WIDTH = 24


class Rectangles(nn.Module):
    """A map that widens and one that narrows, both with biases."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(WIDTH, 40)
        self.tall = nn.Linear(40, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.tall(torch.relu(self.wide(x)))


def rectangles() -> nn.Module:
    torch.manual_seed(1)
    return Rectangles()


def gpt2() -> nn.Module:
    """Conv1D stores its weights the other way round."""
    torch.manual_seed(2)
    config = GPT2Config(
        vocab_size=64,
        n_positions=32,
        n_embd=WIDTH,
        n_layer=2,
        n_head=4,
        initializer_range=0.3,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPT2LMHeadModel(config)


def llama() -> nn.Module:
    """Four heads of queries share two of keys and values."""
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=WIDTH,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config)


def states() -> torch.Tensor:
    """Hidden states that every model here takes, with gradients."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(3, 7, WIDTH, generator=generator, dtype=torch.float64).requires_grad_()


def output(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a model computes from hidden states."""
    if isinstance(model, Rectangles):
        return model(x)
    return model(inputs_embeds=x, use_cache=False).logits
