"""Products with matrices that repeat themselves, which need not be formed for it."""

from collections.abc import Callable, Mapping
from math import prod

import torch
from torch.nn import functional

from .matrices import block_circulant, tiled

Shape = tuple[int, ...]


def kron_product(x: torch.Tensor, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """x [..., c d] times the transpose of C [a, c] ⊗ D [b, d]: [..., a b]."""
    blocks = x.unflatten(-1, (left.shape[1], right.shape[1]))
    inner = functional.linear(blocks, right)
    return torch.matmul(left, inner).flatten(-2)


def circulant_product(x: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
    """x [..., b n] times the transpose of a matrix of circulant blocks [a, b, n]: [..., a n].

    A product with a circulant matrix is a product of spectra, which are worked out in at least 32
    bits: there are no smaller transforms.
    """
    _, columns, size = blocks.shape
    wide = torch.promote_types(x.dtype, torch.float32)
    spectra = torch.fft.rfft(x.to(wide).unflatten(-1, (columns, size)))
    kernels = torch.fft.rfft(blocks.to(wide)).conj()
    product = torch.einsum("...bf,abf->...af", spectra, kernels)
    return torch.fft.irfft(product, n=size).flatten(-2).to(x.dtype)


def tiled_product(x: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """x [..., c] times the transpose of the columns [a, r] over and over: [..., a]."""
    rank = matrix.shape[-1]
    padded = functional.pad(x, (0, -x.shape[-1] % rank))
    return functional.linear(padded.unflatten(-1, (-1, rank)).sum(-2), matrix)


PRODUCTS: Mapping[Callable[..., object], Callable[..., torch.Tensor]] = {
    torch.kron: kron_product,
    block_circulant: circulant_product,
    tiled: tiled_product,
}
"""By the function that would form the matrix."""


def _kron(left: Shape, right: Shape) -> int:
    """A product with D for each block of features, then one with C."""
    return left[1] * prod(right) + right[0] * prod(left)


def _circulant(blocks: Shape) -> int:
    """A complex product of spectra for each block, and a transform of each block of features."""
    rows, columns, size = blocks
    return 2 * prod(blocks) + 2 * (rows + columns) * size * max(size.bit_length() - 1, 1)


_WORK: Mapping[Callable[..., object], Callable[..., int]] = {
    torch.kron: _kron,
    block_circulant: _circulant,
    tiled: prod,
}
STRUCTURED = {**_WORK, **{PRODUCTS[function]: work for function, work in _WORK.items()}}
"""The multiplications a token, by the shapes of the parts of a matrix: by the function that forms
it, and by its product.
"""
