"""What is compared of a model whose tasks come and go."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

import pefc

from .models import computed

MIXED = {
    "one": "lora(r=2) on attn.q, ffn; vera(r=2) on attn.v",
    "two": "adapter(r=2) on ffn; prefix(len=2) all layers",
    "three": "prompt(len=2); lora(r=2) on attn.q",
}
SPEC = "\n".join(f"task {name} {{ {body} }}" for name, body in MIXED.items())
PLAIN = "task one { lora(r=2) on attn.q }\ntask two { lora(r=2) on attn.q; ia3 on ffn }\n"


def alone(model: nn.Module, task: str | None) -> Tensor:
    pefc.set_task(model, task)
    with torch.no_grad():
        return computed(model)


def all_alone(model: nn.Module) -> dict[str | None, Tensor]:
    return {task: alone(model, task) for task in (*pefc.task_names(model), None)}


def same(found: dict[str | None, Tensor], expected: dict[str | None, Tensor]) -> None:
    for task, value in expected.items():
        assert torch.equal(found[task], value), task


@contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Everything about a model that a failed call must leave."""
    state = {key: value.clone() for key, value in model.state_dict().items()}
    parameters = {name: (p, p.requires_grad) for name, p in model.named_parameters()}
    modules = {name: (module, type(module)) for name, module in model.named_modules()}
    with torch.no_grad():
        expected = computed(model)
    yield
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state.items())
    assert {
        n: (p, p.requires_grad) for n, p in model.named_parameters()
    }.keys() == parameters.keys()
    for name, parameter in model.named_parameters():
        assert parameters[name] == (parameter, parameter.requires_grad) or (
            parameters[name][0] is parameter and parameters[name][1] == parameter.requires_grad
        )
    assert {n: (m, type(m)) for n, m in model.named_modules()} == modules
    with torch.no_grad():
        assert torch.equal(computed(model), expected)
