"""A product that is added to something becomes one operation."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import BASE, TOKEN_AXIS, axes, call, shape
from .hoist_scalars import scaled
from .rewriter import everywhere, is_call

_FLAT = (TOKEN_AXIS, None)
"""The axes of a matrix whose rows are all leading axes of x."""


def addmm_rows(
    total: torch.Tensor, thin: torch.Tensor, matrix: torch.Tensor, factor: float, *, owned: bool
) -> torch.Tensor:
    """total + factor * thin @ matrixᵀ, by one `addmm` over flattened leading dims.

    `owned` says that nobody else reads `total`: without gradients the sum is then taken in place,
    which spares a decoding step a copy. Autocast does not reach operations in place, so there it is
    not.
    """
    rows = total.reshape(-1, total.shape[-1])
    is_one_dtype = total.dtype == thin.dtype == matrix.dtype
    if owned and is_one_dtype and not torch.is_grad_enabled() and total.is_contiguous():
        rows.addmm_(thin, matrix.t(), alpha=factor)
        return total
    return torch.addmm(rows, thin, matrix.t(), alpha=factor).view_as(total)


@dataclass(frozen=True, slots=True)
class FuseAdd:
    """`u + linear(h, B) * s --> addmm_rows(u, h, B, s)`, one `addmm` with the scale in it."""

    name: str = "fuse-add"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _fuse)


def _fuse(graph: Graph, node: Node) -> Node | None:
    if not is_call(node, torch.add):
        return None
    first, second = node.args
    if not isinstance(first, Node) or not isinstance(second, Node):
        return None
    if shape(first) != shape(node) or shape(second) != shape(node):
        return None
    factor = 1.0
    if (inner := scaled(second)) and len(second.users) == 1:
        second, factor = inner
    if (
        not is_call(second, functional.linear)
        or len(second.users) != 1
        or second.args[2] is not None
    ):
        return None
    thin, matrix = second.args[:2]
    columns = _flat_product(graph, thin)  # pyright: ignore[reportArgumentType]
    return call(
        graph, addmm_rows, first, columns, matrix, factor, owned=_is_owned(first), axes=axes(node)
    )


def _is_owned(total: Node) -> bool:
    """A fresh tensor that nobody else reads: what the base map gave, or a sum of this kind."""
    is_fresh = total.target == BASE or is_call(total, addmm_rows)
    return is_fresh and len(total.users) == 1


def _flat(graph: Graph, value: Node) -> Node:
    return call(graph, torch.reshape, value, (-1, shape(value)[-1]), axes=_FLAT)


def _flat_product(graph: Graph, thin: Node) -> Node:
    """The thin product with flattened rows: of a product that nobody else reads, the input is
    flattened instead.
    """
    if is_call(thin, functional.linear) and len(thin.users) == 1:
        x, *parameters = thin.args
        rows = _flat(graph, x)  # pyright: ignore[reportArgumentType]
        return call(graph, functional.linear, rows, *parameters, axes=_FLAT)
    return _flat(graph, thin)
