"""Buffers of the base that its own forward changes while it trains: what batch norms note, vectors
of spectral norms, moving averages. Which of them do is not known before, so all are looked at.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from ..change import Change
from .patched_class import is_wire
from .tensors import Tensors

Noted = tuple[tuple[str, Tensor | None], ...]
"""Copies, by name; None for a buffer that has no value yet."""


def base_buffers(model: nn.Module) -> Iterator[tuple[str, Tensor | None]]:
    """The buffers that belong to the state of the base, by name, in the order of the state.

    Integers with several axes are none: weights that other libraries have packed, and masks.
    """
    for path, module in model.named_modules():
        if isinstance(module, Tensors):
            continue
        for name, buffer in module._buffers.items():
            is_state = name not in module._non_persistent_buffers_set and not is_wire(name)
            if is_state and (buffer is None or buffer.is_floating_point() or buffer.ndim < 2):
                yield f"{path}.{name}".lstrip("."), buffer


def noted(model: nn.Module) -> Noted:
    """Copies of the buffers as they are now."""
    return tuple((n, None if b is None else b.detach().clone()) for n, b in base_buffers(model))


def changed(model: nn.Module, before: Noted) -> dict[str, Tensor]:
    """The buffers that are not what they were; where that cannot be known, because there were no
    values yet, those too.
    """
    earlier = dict(before)
    return {
        name: buffer
        for name, buffer in base_buffers(model)
        if buffer is not None and not is_same(buffer, earlier.get(name))
    }


def is_same(buffer: Tensor | None, other: Tensor | None) -> bool:
    """Whether a buffer has the values of another one, in whatever dtype and place it is by now."""
    if buffer is None or other is None:
        return buffer is other
    return (
        buffer.is_meta == other.is_meta
        and buffer.shape == other.shape
        and (buffer.is_meta or torch.equal(buffer, other.to(buffer)))
    )


def put(change: Change, model: nn.Module, values: Mapping[str, Tensor | None]) -> None:
    """Give buffers other values, in place where that can be."""
    for name, value in values.items():
        path, _, last = name.rpartition(".")
        buffers = model.get_submodule(path)._buffers
        present = buffers[last]
        if value is None or present is None or present.shape != value.shape:
            change.draft(buffers)[last] = None if value is None else value.clone()
        else:
            change.write(present, value, kept=True)
