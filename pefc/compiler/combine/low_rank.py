"""Ways of combining the changes s·B·A of low-rank methods, without ever forming one."""

from collections.abc import Sequence

import torch
from torch.linalg import qr, svd

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
