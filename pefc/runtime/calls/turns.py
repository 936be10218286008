"""Turns: calls of a model in several threads come one after the other, where its patches keep
something of a call: a value on its way to a patch, where the tokens of a text stand, the layers
that `adapterdrop` leaves out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from threading import RLock

import torch
from torch import nn


class Turns:
    """Whose turn it is; a copy of a model has turns of its own."""

    def __init__(self) -> None:
        self._lock = RLock()

    def __deepcopy__(self, memo: object) -> "Turns":
        return Turns()

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for one's turn, and have it while it lasts."""
        with self._lock:
            yield


def turning_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a model whose calls take turns, its `pefc_turns`."""

    def call(self: nn.Module, *args: object, **kwargs: object) -> object:
        turns = self.pefc_turns
        assert isinstance(turns, Turns)
        if torch.compiler.is_compiling():
            return base.__call__(self, *args, **kwargs)
        with turns.one():
            return base.__call__(self, *args, **kwargs)

    return {"__call__": call}


def again_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a layer of such a model, which a checkpoint may run
    again while another thread calls the model.
    """

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        turns = self.pefc_turns
        assert isinstance(turns, Turns)
        checkpoints = self.training and getattr(self, "gradient_checkpointing", False)
        if not checkpoints or torch.compiler.is_compiling():
            return base.forward(self, *args, **kwargs)
        with turns.one():
            return base.forward(self, *args, **kwargs)

    return {"forward": forward}
