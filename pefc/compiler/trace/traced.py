"""A traced model: its hierarchy of graphs, and how it is called."""

from dataclasses import dataclass

import torch
from torch.fx import GraphModule


@dataclass(frozen=True, slots=True)
class Input:
    """An input of the traced graph, as the example had it."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    dynamic: tuple[int, ...]
    """The axes that may have any size."""


@dataclass(frozen=True, slots=True)
class Traced:
    """What `trace` returns."""

    model: str
    """The class of the model."""
    root: GraphModule | None
    """A graph for each module at its path; the leaves are the model's own modules, and every
    parameter is the model's. It is called with the inputs by name and returns what the model
    returns. None where the model could not be exported."""
    inputs: tuple[Input, ...]
    reason: str | None = None
    """Why there is no graph."""
