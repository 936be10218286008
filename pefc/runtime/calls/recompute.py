"""What the patches of a layer ask of the call around them, kept for the time when a checkpoint runs
the layer again.

Gradient checkpointing calls a layer anew in the backward pass, with the arguments of its first
call. Other calls of the model may have come between; so what a layer's patches ask of the call is
one of its arguments.
"""

from functools import wraps
from typing import Protocol

from torch import nn

_NAME = "pefc_call"


class State(Protocol):
    """Something that changes from call to call."""

    def note(self) -> object:
        """What it is now."""
        ...

    def restore(self, noted: object) -> None:
        """Be again what it was."""
        ...


def layer_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a layer; its `pefc_states` go with each call."""

    def call(self: nn.Module, *args: object, **kwargs: object) -> object:
        states: tuple[State, ...] = self.pefc_states  # pyright: ignore[reportAssignmentType]
        noted = tuple(state.note() for state in states)
        return base.__call__(self, *args, **kwargs, **{_NAME: noted})

    @wraps(base.forward)
    def forward(
        self: nn.Module, *args: object, pefc_call: tuple[object, ...] = (), **kwargs: object
    ) -> object:
        states: tuple[State, ...] = self.pefc_states  # pyright: ignore[reportAssignmentType]
        for state, noted in zip(states, pefc_call, strict=False):
            state.restore(noted)
        return base.forward(self, *args, **kwargs)

    return {"__call__": call, "forward": forward}
