"""Small trainings whose ranks are allocated."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

import pefc

from ..models import WORDS, llama

STEPS = 12
SPEC = f"adalora(r=5, target=2, steps={STEPS}, start=2, settle=3) on attn.{{q,k,v}}, ffn.down"
WHERE = "adalora"
EXACT = {"rtol": 0, "atol": 1e-12}
"""As near as 64 bits allow."""


def model(spec: str = SPEC) -> nn.Module:
    """A Llama of two layers in 64 bits, the same each time."""
    made = llama().double()
    torch.manual_seed(7)
    return pefc.apply(spec, made)


def trained(model: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def adamw(model: nn.Module) -> AdamW:
    return AdamW(trained(model), lr=0.02)


def sgd(model: nn.Module) -> SGD:
    return SGD(trained(model), lr=0.5)


def batch(step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    return torch.randint(WORDS, (3, 8), generator=generator)


def backward(model: nn.Module, step: int) -> None:
    ids = batch(step)
    loss = model(ids, labels=ids).loss + pefc.regularizer(model)
    loss.backward()


def logits(model: nn.Module) -> Tensor:
    """What it says, out of training."""
    with torch.no_grad():
        return model.eval()(batch(99)).logits


def train(model: nn.Module, optimizers: Optimizer | Sequence[Optimizer], steps: range) -> None:
    """Bare loops: nothing here knows of ranks."""
    every = [optimizers] if isinstance(optimizers, Optimizer) else optimizers
    for step in steps:
        backward(model, step)
        for optimizer in every:
            optimizer.step()
        for optimizer in every:
            optimizer.zero_grad()


def sites(model: nn.Module) -> dict[str, nn.Module]:
    """What was attached, by path."""
    return {path: m for path, m in model.named_modules() if path.endswith(f".{WHERE}")}


def live(model: nn.Module) -> dict[str, int]:
    """How many singular values are not zero at each site."""
    return {path: int((each.E != 0).sum()) for path, each in sites(model).items()}


def step_of(model: nn.Module) -> int:
    """How many steps the allocator has seen."""
    (steps,) = {int(each.shrinking.step) for each in sites(model).values()}
    return steps


def tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """All that belongs to the statement, with the state of its allocator."""
    for path, value in model.state_dict().items():
        if f".{WHERE}." in path:
            yield path, value


def assert_equal(first: nn.Module, second: nn.Module) -> None:
    mine, theirs = dict(tensors(first)), dict(tensors(second))
    assert mine
    assert mine.keys() == theirs.keys()
    for path, value in mine.items():
        torch.testing.assert_close(value, theirs[path], rtol=0, atol=0, msg=path)
