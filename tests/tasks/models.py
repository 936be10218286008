"""Models whose rows belong to tasks, in double precision, and what they compute."""

import torch
from torch import Tensor, nn
from transformers import T5Config, T5ForConditionalGeneration

import pefc

from ..models import WIDTH, WORDS, bert, gpt2, llama, output, perturb, sdpa, words

ROWS = 4


def t5(*, layers: int = 2) -> T5ForConditionalGeneration:
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=WORDS,
        d_model=WIDTH,
        d_kv=6,
        d_ff=40,
        num_layers=layers,
        num_heads=4,
        decoder_start_token_id=0,  # pyright: ignore[reportCallIssue]
        pad_token_id=0,
    )
    return T5ForConditionalGeneration(config).eval()


MODELS = {"llama": llama, "gpt2": gpt2, "bert": bert, "t5": t5, "sdpa": sdpa}


def tasked(name: str, spec: str, **sizes: int) -> nn.Module:
    """A model with a spec, away from where it starts."""
    model = pefc.apply(spec, MODELS[name](**sizes)).double()
    perturb(model)
    return model


def computed(model: nn.Module, ids: Tensor | None = None) -> Tensor:
    """What a model computes from one text a row."""
    ids = words(rows=ROWS) if ids is None else ids
    if isinstance(model, T5ForConditionalGeneration):
        return model(input_ids=ids, decoder_input_ids=ids[:, :4], use_cache=False).logits
    return output(model, ids)


def gradients(model: nn.Module) -> dict[str, Tensor]:
    """The gradients of everything that trains, which are cleared; zeros where there is none."""
    found = {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in model.named_parameters()
        if p.requires_grad
    }
    model.zero_grad()
    return found


def loss(model: nn.Module) -> Tensor:
    """A toy task: one word follows every token, or outputs are zero."""
    ids = words()
    if hasattr(model, "generate") and "lm_head" in dict(model.named_modules()):
        return model(input_ids=ids, labels=torch.full_like(ids, 7)).loss
    return computed(model, ids).square().mean()


def train(model: nn.Module, steps: int = 15) -> tuple[float, float]:
    """The loss before and after some steps."""
    optimizer = pefc.optimizer(model, lr=0.03)
    before = loss(model).item()
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    return before, loss(model).item()


def close(found: Tensor, expected: Tensor, relative: float = 1e-12) -> None:
    """Equal but for rounding, as a share of the largest number."""
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= relative * expected.abs().max()
