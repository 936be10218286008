"""What a formula knows at its place: names with the time at which each has a value."""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal

from ..diagnostics import Diagnostic
from ..source import Span


class Stage(IntEnum):
    """When a value is known."""

    SIZE = 0
    """From parameters and dims alone."""
    TENSOR = 1
    """Once tensors are there, before any input."""
    FORWARD = 2
    """In a forward only."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a name is."""

    stage: Stage
    kind: Literal["value", "map", "method", "methods"] = "value"
    owner: str = "a value"
    """What it is called in a message."""
    span: Span | None = None
    is_whole: bool = True
    """Whether it may be the size of a tensor."""
    is_function: bool = False
    """Whether it is a choice among functions of one argument, and may be called."""


@dataclass(frozen=True, slots=True)
class Place:
    """What an expression is for, and how much may be known there."""

    limit: Stage
    what: str
    positions: bool = False
    """Inside of `where`."""


SIZES = "parameters, dims and values made of them"
TENSORS = "parameters, dims, `W` and the tensors and values above that need no input"


@dataclass(slots=True)
class Frame:
    """A method while it is checked."""

    site: str
    names: dict[str, Known]
    members: frozenset[str]
    """Members of the enumerations of its parameters."""
    later: dict[str, Span]
    """Everything that its body declares."""
    found: list[Diagnostic]
    used: set[str] = field(default_factory=set[str])

    def branch(self) -> "Frame":
        """A frame whose declarations do not show outside; mistakes and uses do."""
        return replace(self, names=dict(self.names))
