"""Declarations of tensors, worked out for a site."""

from dataclasses import dataclass, field

import torch

from ....dsl import syntax
from ....dsl.syntax.source import Span
from ...ops import Axes

VOCABULARY = "vocabulary"
"""The distribution of the rows of the token embedding."""
SAMPLE = "sample"
"""The distribution of positions."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A tensor of a method at a site."""

    name: str
    shape: tuple[int, ...]
    axes: Axes
    frozen: bool
    scope: str | None
    value: syntax.Expression | None
    """The symbolic initial value; None where the distribution gives it."""
    distribution: tuple[str, tuple[object, ...]] | None
    seed: int | None
    span: Span = field(compare=False, repr=False)
    dtype: torch.dtype | None = None
    """None where it follows the weight that the tensor stands beside."""
    of: tuple[int, int] | None = None
    """The shape of the matrix that the entries are positions in; None where they are numbers."""
