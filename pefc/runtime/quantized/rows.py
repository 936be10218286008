"""Weights in 8 bits that processes share: what bitsandbytes keeps beside such a weight is lost when
`fully_shard` puts it together out of parts. The scales of its rows stay with the module.
"""

from functools import wraps
from typing import Any

from torch import nn


def readable(module: nn.Module) -> None:
    """Let a module find its weight, whatever has put it together."""
    weight: Any = module.weight
    state: Any = module.state
    if getattr(weight, "CB", None) is None:
        state.CB = weight.data
        state.SCB = state.SCB.to(weight.device)
        weight.CB = None


def readable_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a module that finds its weight at each call."""

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        readable(self)
        return base.forward(self, *args, **kwargs)

    return {"forward": forward}
