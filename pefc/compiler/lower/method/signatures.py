"""What the patch of a site depends on; sites with equal facts share their patches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Rows = tuple[tuple[int, int], ...]
"""The [start, stop) ranges of output features that are meant."""


@dataclass(frozen=True, slots=True)
class LinearFacts:
    """A linear module."""

    inputs: int
    outputs: int
    bias: bool
    transposed: bool
    """The module stores its weight as [in, out], as transformers' `Conv1D` does."""
    packed: Literal[4, 8] | None = None
    """The weight is quantized to so many bits."""


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """A block: a module with a residual branch."""

    width: int
    normed: bool
    """A norm reads the sum of y and the residual stream; else `norm(z)` is z."""

    @property
    def dims(self) -> Mapping[str, int]:
        return {"d": self.width}


@dataclass(frozen=True, slots=True)
class MapFacts:
    """A projection of an attention, as formulas call it."""

    name: str
    """`q`, `k`, `v` or `o`."""
    inputs: int
    outputs: int
    """Features of the whole module."""
    rows: Rows | None


@dataclass(frozen=True, slots=True)
class AttentionFacts:
    """An attention product."""

    width: int
    heads: int
    kv_heads: int
    head_dim: int
    maps: tuple[MapFacts, ...] = ()

    @property
    def dims(self) -> Mapping[str, int]:
        sizes = {"heads": self.heads, "kv_heads": self.kv_heads, "head_dim": self.head_dim}
        return {"d": self.width, **sizes}


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """The embedded input of a model."""

    width: int

    @property
    def dims(self) -> Mapping[str, int]:
        return {"d": self.width}


@dataclass(frozen=True, slots=True)
class LeafFacts:
    """A norm, an embedding or a convolution, whose own parameters alone are changed."""

    parameters: tuple[tuple[str, tuple[int, ...]], ...]
    """All that it has, by name, with their shapes."""

    @property
    def dims(self) -> Mapping[str, int]:
        return {}


Facts = LinearFacts | BlockFacts | AttentionFacts | TokenFacts | LeafFacts
