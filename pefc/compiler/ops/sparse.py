"""Matrices of a few entries at fixed positions, and their spectra."""

from math import prod

import torch
from torch.fx import Graph, Node

from .node import call, shape

POSITIONS_OF = "of"
"""Where the node of an index notes the shape that its positions lie in."""


def scatter(graph: Graph, values: Node, index: Node) -> Node:
    """A matrix of zeros with values at the positions of an index."""
    size = index.meta.get(POSITIONS_OF)
    if size is None:
        message = "the second argument is no index"
        raise ValueError(message)
    return call(graph, scattered, values, index, size)


def scattered(values: torch.Tensor, index: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """A matrix of zeros with values [n] at the flat positions `index` [n], each of which is there
    once.
    """
    return values.new_zeros(prod(size)).index_add(0, index, values).view(size)


def ifft2(graph: Graph, value: Node) -> Node:
    """The inverse Fourier transform over the last two axes."""
    return call(graph, inverse_fourier, value)


def inverse_fourier(value: torch.Tensor) -> torch.Tensor:
    """The inverse transform, in at least 32 bits: there is no smaller one."""
    return torch.fft.ifft2(value.to(torch.promote_types(value.dtype, torch.float32)))


def real(graph: Graph, value: Node) -> Node:
    """The real part of a transform, in the dtype of what was transformed."""
    if value.target is not inverse_fourier:
        return value
    part = call(graph, torch.real, value)
    like = value.args[0]
    assert isinstance(like, Node)
    assert shape(part) == shape(like)
    return call(graph, torch.Tensor.type_as, part, like)
