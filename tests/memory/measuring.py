"""A step of training that really happens, and the bytes of tensors that are alive in it."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

import pefc
from pefc.compiler.measure.memory.meta_step import Live
from pefc.compiler.measure.memory.setup import Setup
from pefc.compiler.plan.installed import attached
from pefc.runtime.patched.installed import copies


def measured(spec: str, model: nn.Module, setup: Setup) -> tuple[int, int]:
    """The most that the second step takes, all in all, and what the optimizer keeps of it."""
    pefc.apply(spec, model).train()
    if setup.checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})  # pyright: ignore[reportCallIssue]
    optimizer = pefc.optimizer(model, lr=1e-3, kind=setup.optimizer)
    _step(model, optimizer, setup)
    states = [
        value
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, Tensor)
    ]
    held = [*_held(model), *copies(attached(model)), *states]
    with Live(held) as live:
        _step(model, optimizer, setup)
    return _bytes(held) + live.peak, _bytes(states)


def _step(model: nn.Module, optimizer: torch.optim.Optimizer, setup: Setup) -> None:
    ids = torch.zeros(setup.batch, setup.length, dtype=torch.long)
    inputs = {"input_ids": ids, "labels": ids}
    if setup.padding:
        inputs["attention_mask"] = torch.ones_like(ids)
        inputs["attention_mask"][0, -3:] = 0
    model(**inputs, use_cache=False).loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def _held(model: nn.Module) -> Iterator[Tensor]:
    """All tensors of a model, with what bitsandbytes keeps beside its weights."""
    yield from model.parameters()
    yield from model.buffers()
    for module in model.modules():
        weight = module._parameters.get("weight")
        state = getattr(weight, "quant_state", None)
        for part in (state, getattr(state, "state2", None)):
            if part is not None:
                yield part.absmax
                yield part.code
        for owner in (weight, getattr(module, "state", None)):
            found = getattr(owner, "SCB", None)
            if isinstance(found, Tensor):
                yield found


def _bytes(tensors: list[Tensor]) -> int:
    """Each storage counts once."""
    storages = [tensor.untyped_storage() for tensor in tensors]
    return sum({storage._cdata: storage.nbytes() for storage in storages}.values())
