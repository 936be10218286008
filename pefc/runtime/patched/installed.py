"""What a model remembers of the spec that was applied to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import torch
from torch import nn

from ..change import Change
from .base_buffers import Noted

_NAME = "_pefc"


@dataclass(frozen=True, slots=True)
class Installed:
    """Enough to save, merge and take out again. It holds no module, so a copy of the model may
    share it.
    """

    plan: object
    """The `Plan` that was applied."""
    flags: tuple[tuple[str, bool], ...]
    """`requires_grad` of every parameter before."""
    originals: tuple[tuple[str, torch.Tensor], ...]
    """Copies of the parameters that `tune` lets train, as they were."""
    buffers: Noted = ()
    """Copies of the buffers of the base, as they were."""
    earlier: "Merged | None" = None
    """What the model remembered before."""

    def __deepcopy__(self, memo: object) -> Self:
        return self


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge keeps so that it can be undone."""

    originals: tuple[tuple[str, torch.Tensor], ...]
    """Copies of the parameters that the merge or the training changed, as they were before the
    spec.
    """
    buffers: Noted = ()
    """Copies of the buffers of the base, as they were before the spec."""
    modules: tuple[tuple[str, nn.Module], ...] = ()
    """Quantized modules, as they were before the merge replaced them."""

    def __deepcopy__(self, memo: object) -> Self:
        return self


def copies(what: Installed) -> Iterator[torch.Tensor]:
    """The tensors that `remove` puts back."""
    yield from (value for _, value in what.originals)
    yield from (value for _, value in what.buffers if value is not None)


def record(model: nn.Module) -> Installed | Merged | None:
    """What a model remembers, if anything."""
    return model.__dict__.get(_NAME)


def remember(change: Change, model: nn.Module, what: Installed | Merged | None) -> None:
    """Replace what a model remembers; None leaves no trace."""
    if what is None:
        change.attributes(model).pop(_NAME, None)
    else:
        change.attributes(model)[_NAME] = what
