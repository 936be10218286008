"""Ways of combining tensor by tensor; each gives one tensor for those of the adapters.

`tensors` are the changes of one tensor from where it starts, in the order of the adapters.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.linalg import qr, svd

from .options import Wanted
from .sites import Factors


def stacked(factors: Sequence[Factors], weights: Sequence[float]) -> Factors:
    """Σ wᵢsᵢBᵢAᵢ as one product: the Bᵢ side by side, with the numbers in them, over the Aᵢ. Exact;
    the ranks add.
    """
    left = [w * each.scale * each.left for w, each in zip(weights, factors, strict=True)]
    return Factors(torch.cat(left, 1), torch.cat([each.right for each in factors]), 1.0)


def truncated(factors: Sequence[Factors], weights: Sequence[float], rank: int) -> Factors:
    """The product of a rank that is nearest to Σ wᵢsᵢBᵢAᵢ, which the singular values beyond tell.

    With B = QR and Aᵀ = PS the sum is Q(RSᵀ)Pᵀ, and RSᵀ has no more rows than there are ranks.
    """
    both = stacked(factors, weights)
    wide = torch.float64
    outer, left = qr(both.left.to(wide))
    inner, right = qr(both.right.T.to(wide))
    u, values, v = svd(left @ right.T, full_matrices=False)
    kept = min(rank, len(values))
    found_left = outer @ u[:, :kept] * values[:kept]
    found_right = v[:kept] @ inner.T
    padded_left = found_left.new_zeros(len(found_left), rank)
    padded_right = found_right.new_zeros(rank, found_right.shape[1])
    padded_left[:, :kept], padded_right[:kept] = found_left, found_right
    like = both.left.dtype
    return Factors(padded_left.to(like), padded_right.to(like), 1.0)


def combined(
    tensors: Sequence[Tensor], weights: Sequence[float], wanted: Wanted, generator: torch.Generator
) -> Tensor:
    """One tensor for several.

    `linear` is Σ wᵢtᵢ. `magnitude` is that of the tensors with all but their largest numbers set to
    zero. `dare` is that of the tensors with random numbers set to zero and the others divided by
    the density, arXiv:2311.03099. `ties` keeps the largest, elects at each place the sign of their
    sum, and takes there the mean of the weighted numbers that have it, arXiv:2306.01708.
    """
    match wanted.way:
        case "linear":
            return _sum(tensors, weights)
        case "magnitude":
            return _sum([_largest(tensor, wanted.density) for tensor in tensors], weights)
        case "dare":
            return _sum([_drawn(t, wanted.density, generator) for t in tensors], weights)
        case _:
            return _elected([_largest(t, wanted.density) for t in tensors], weights)


def _sum(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    return torch.stack([weight * t for weight, t in zip(weights, tensors, strict=True)]).sum(0)


def _elected(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    stacked = torch.stack(list(tensors))
    elected = torch.where(stacked.sum(0) >= 0, 1, -1)
    agree = stacked.sign() == elected
    weighted = torch.stack([weight * t for weight, t in zip(weights, tensors, strict=True)])
    return (weighted * agree).sum(0) / agree.sum(0).clamp(min=1)


def _largest(tensor: Tensor, density: float) -> Tensor:
    """A tensor with its largest numbers alone, one at least."""
    if density == 1:
        return tensor
    flat = tensor.reshape(-1)
    kept = flat.abs().topk(max(1, int(density * flat.numel()))).indices
    return torch.zeros_like(flat).index_copy(0, kept, flat[kept]).reshape(tensor.shape)


def _drawn(tensor: Tensor, density: float, generator: torch.Generator) -> Tensor:
    """A tensor with random numbers of it, divided by how likely each one is to stay."""
    if density == 1:
        return tensor
    mask = torch.bernoulli(torch.full_like(tensor, density), generator=generator)
    return tensor * mask / density
