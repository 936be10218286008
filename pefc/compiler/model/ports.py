"""Ports: where the values of a site pass in the living model."""

from dataclasses import dataclass
from typing import Literal

Channel = Literal["interface", "product"]
"""How an attention module computes its product: by transformers' registry of attention functions,
or by a call of `scaled_dot_product_attention` in its own forward.
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A value on its way into a module: an argument of its forward."""

    module: str
    """The path of the module."""
    index: int | None
    """The place among the positional parameters, counted without `self`; None for a keyword."""
    name: str
    """The name of the parameter."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A value on its way out of a module."""

    module: str
    """The path of the module."""
    index: int | str | None
    """The place in the tuple, or the key of the mapping, that the module returns; None where it
    returns the value itself.
    """


@dataclass(frozen=True, slots=True)
class BlockPorts:
    """The values of a block."""

    width: int
    """Features of the output."""
    output: Exit
    """Where y passes, before the residual is added."""
    input: Entry | None
    """Where x passes; None where no module is called with it."""
    residual: Entry | None = None
    """Where the residual stream passes that y is added to."""
    norm: str | None = None
    """The path of the norm that reads y + residual; None where the block has its norm before."""


@dataclass(frozen=True, slots=True)
class Projection:
    """The linear map that makes q, k, v, or takes the context."""

    path: str
    rows: tuple[tuple[int, int], ...] | None
    """The [start, stop) ranges of its output features; None for all."""


@dataclass(frozen=True, slots=True)
class AttentionPorts:
    """The values of an attention product."""

    module: str
    """The path of the module whose forward computes the product."""
    channel: Channel | None
    """None where the product is written out, so that nothing can be put between."""
    width: int
    """Features of the hidden states that the queries come from."""
    heads: int
    kv_heads: int
    head_dim: int
    input: Entry | None
    """Where the hidden states pass that the queries come from."""
    projections: tuple[tuple[str, Projection], ...] = ()
    """By `q`, `k`, `v` and `o`; those that are one linear map each."""


@dataclass(frozen=True, slots=True)
class TokenPorts:
    """The values of the embedded input of a model."""

    stem: str
    """The path of the module that embeds the ids and runs the layers; "" for the model itself."""
    embed: str
    """The path of the token embedding."""
    width: int
    memory: str | None = None
    """The path of the decoder that attends to what the stem returns, in an encoder-decoder model;
    the stem's output then keeps the new tokens.
    """
