"""What a step of training takes: each part of it, and their sum."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from transformers import PretrainedConfig

from ....dsl.diagnostics.commands import NotEstimated
from ....dsl.diagnostics.report import SpecError
from ....runtime.patched import copies
from ...adapted import set_task
from ...model import quiet, reason_of
from ...plan import Plan, attached, kept_bytes
from .meta_step import Live, attach, cast, step, unpadded
from .setup import Setup

_SMALL = 4096
"""Parameters with fewer numbers have moments of 32 bits with the 8-bit optimizers, too."""
_BLOCK = 256
"""Moments of 8 bits that share one scale."""
_CODE = 2 * 256 * 4
"""The two codes of 8 bits, once for all parameters."""


def moments(parameters: Iterable[nn.Parameter], kind: str) -> int:
    """The bytes of the two moments, with their scales."""
    trained = tuple(parameters)
    if "8bit" not in kind:
        # Those of bitsandbytes always have 32 bits, those of torch the dtype of the parameter.
        return sum(2 * p.numel() * (p.element_size() if kind == "adamw" else 4) for p in trained)
    large = [p.numel() for p in trained if p.numel() >= _SMALL]
    small = sum(2 * 4 * p.numel() for p in trained if p.numel() < _SMALL)
    scales = sum(2 * 4 * -(-count // _BLOCK) for count in large)
    return small + 2 * sum(large) + scales + _CODE * bool(large)


def room(parameters: Iterable[nn.Parameter], kind: str) -> int:
    """What a step of the optimizer takes for a moment: AdamW of torch goes parameter by parameter,
    and has the root of the second moment twice.
    """
    return 2 * max((p.nbytes for p in parameters), default=0) if kind == "adamw" else 0


@dataclass(frozen=True, slots=True)
class Memory:
    """The bytes of a step of training, where there are most of them at once."""

    setup: Setup
    """With the dtype that the base has."""
    base: Mapping[str, int]
    """By dtype, or by the form in which weights are quantized."""
    copies: int
    """Of what `tune` trains, and of buffers: what `remove` puts back."""
    adapter: int
    optimizer: int
    """Between steps too."""
    gradients: int
    activations: int
    """What a step takes besides: what is kept for the gradients, and what is there for a moment.
    Where both fit into the room of gradients that are still to come, they take none of their own.
    """

    @property
    def sum(self) -> int:
        step = (self.optimizer, self.gradients, self.activations)
        return sum(self.base.values()) + self.copies + self.adapter + sum(step)


def estimate(plan: Plan, model: nn.Module, setup: Setup) -> Memory:
    """Run a step of training on tensors without values. The model, which may have none, is only
    read.

    Raises SpecError where that cannot be run.
    """
    dtype = setup.dtype or _dtype(model)
    with quiet(), FakeTensorMode(allow_non_fake_inputs=True):
        try:
            copied = cast(model, dtype)
            before = dict(_tensors(copied))
            attach(plan, copied)
            peak = _peak(plan, copied, setup)
        except SpecError:
            raise
        except Exception as error:
            raise SpecError([NotEstimated(plan.model, reason_of(error))]) from error
    added = [tensor for name, tensor in _tensors(copied) if name not in before]
    trained = [parameter for parameter in copied.parameters() if parameter.requires_grad]
    gradients = sum(parameter.nbytes for parameter in trained)
    most = max(peak, gradients + room(trained, setup.optimizer))
    return Memory(
        setup=replace(setup, dtype=dtype),
        base=_base(plan, before),
        copies=sum(tensor.nbytes for tensor in copies(attached(copied))),
        adapter=sum(tensor.nbytes for tensor in added),
        optimizer=moments(trained, setup.optimizer),
        gradients=gradients,
        activations=most - gradients,
    )


def _dtype(model: nn.Module) -> torch.dtype | None:
    """What the weights will be read as: a model that has none yet says it in its configuration."""
    first = next((p for p in model.parameters() if p.is_floating_point()), None)
    config = getattr(model, "config", None)
    if first is not None and first.is_meta and isinstance(config, PretrainedConfig):
        stated = getattr(config, "dtype", None)
        if isinstance(stated, torch.dtype):
            return stated
    return None if first is None else first.dtype


def _peak(plan: Plan, model: nn.Module, setup: Setup) -> int:
    """The most that a step takes beside what the model holds, whichever task runs."""
    if setup.checkpointing:
        model.activation_checkpointing_enable(  # pyright: ignore[reportCallIssue]
            {"use_reentrant": False, "preserve_rng_state": False}
        )
    return max(_step(model, setup, task) for task in _tasks(plan))


def _tasks(plan: Plan) -> tuple[str | None, ...]:
    """The tasks that train: those that a fusion reads do not."""
    return tuple(task for task in plan.tasks if task not in plan.fused) or (None,)


def _step(model: nn.Module, setup: Setup, task: str | None) -> int:
    if task is not None:
        set_task(model, task)
    live = Live(tensor for _, tensor in _tensors(model))
    with nullcontext() if setup.padding else unpadded(), live:
        step(model, setup)
    model.zero_grad()
    return live.peak


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def _base(plan: Plan, tensors: Mapping[str, Tensor]) -> Mapping[str, int]:
    packed = {f"{packing.site.path}.weight": packing for packing in plan.packings}
    sizes = Counter[str]()
    for name, tensor in tensors.items():
        if name in packed:
            sizes[packed[name].form.format] += kept_bytes(packed[name])
        else:
            sizes[str(tensor.dtype).removeprefix("torch.")] += tensor.nbytes
    return dict(sizes)
