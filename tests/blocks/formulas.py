"""The papers' formulas of methods on blocks, in plain torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Tensors = Mapping[str, Tensor]
Activation = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Values:
    """What passes at a block."""

    x: Tensor
    y: Tensor
    residual: Tensor
    norm: Activation
    """The block's own, behind its join; else nothing."""


Formula = Callable[[Values, Tensors], Tensor]


def bottleneck(form: str, act: Activation, scale: float) -> Formula:
    """y + scale · up(act(down(z))), where z is y, x, or the normed sum."""

    def formula(at: Values, t: Tensors) -> Tensor:
        z = {"sequential": at.y, "parallel": at.x, "pfeiffer": at.norm(at.y + at.residual)}[form]
        hidden = act(z @ t["down.weight"].T + t["down.bias"])
        return at.y + scale * (hidden @ t["up.weight"].T + t["up.bias"])

    return formula


def compacter(at: Values, t: Tensors) -> Tensor:
    """Both maps of a bottleneck are sums of Kronecker products."""

    def weight(left: str, right: str) -> Tensor:
        factors = zip(t["C"], t[left], t[right], strict=True)
        return torch.stack([torch.kron(c, a @ b) for c, a, b in factors]).sum(0)

    hidden = functional.gelu(at.y @ weight("A1", "B1") + t["c1"])
    return at.y + hidden @ weight("A2", "B2") + t["c2"]


def loreft(at: Values, t: Tensors) -> Tensor:
    """h + Rᵀ(Wh + b − Rh) with orthonormal rows R, found by Gram and Schmidt."""
    rows: list[Tensor] = []
    for row in t["R"]:
        for known in rows:
            row = row - (row @ known) * known  # noqa: PLW2901
        rows.append(row / row.norm())
    basis = torch.stack(rows)
    edit = at.y @ t["h.weight"].T + t["h.bias"] - at.y @ basis.T
    return _at_ends(at.y, edit @ basis)


def direft(at: Values, t: Tensors) -> Tensor:
    """h + Rᵀ(Wh + b), with any R."""
    return _at_ends(at.y, (at.y @ t["h.weight"].T + t["h.bias"]) @ t["R"])


def _at_ends(y: Tensor, edit: Tensor) -> Tensor:
    """The edit of the first two tokens and of the last one."""
    changed = y.clone()
    for position in {0, 1, y.shape[-2] - 1}:
        changed[..., position, :] += edit[..., position, :]
    return changed


ENDS = "front=2, back=1"
FORMULAS: Mapping[str, Formula] = {
    "adapter(r=3, scale=2)": bottleneck("sequential", torch.relu, 2),
    "adapter(sequential, r=3, act=gelu, init=houlsby)": bottleneck(
        "sequential", functional.gelu, 1
    ),
    "adapter(parallel, r=3, act=silu, init=bert)": bottleneck("parallel", functional.silu, 1),
    "adapter(form=pfeiffer, r=3, act=tanh, scale=0.5)": bottleneck("pfeiffer", torch.tanh, 0.5),
    "pfeiffer(r=3, init=houlsby)": bottleneck("pfeiffer", torch.relu, 1),
    "parallel_adapter(r=3)": bottleneck("parallel", torch.relu, 4),
    "compacter(r=8, n=4, k=2)": compacter,
    "compacter(r=4, n=2, init=paper)": compacter,
    f"loreft(r=3, {ENDS})": loreft,
    f"loreft(r=2, {ENDS}, init=paper)": loreft,
    f"direft(r=3, {ENDS})": direft,
    f"direft(r=2, {ENDS}, init=paper)": direft,
}
