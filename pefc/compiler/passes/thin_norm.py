"""Row norms of a sum of the base weight and thin products never form the products."""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..lower.arithmetic import transpose
from ..lower.nodes import axes, call, shape
from .rewrite import everywhere, is_call
from .scalars import scaled


@dataclass(frozen=True, slots=True)
class ThinNorm:
    """`norm(W + s * (B @ A), in) --> sqrt(‖W‖² + 2 s rowsum((W Aᵀ) * B) + s² rowsum((B (A Aᵀ)) *
    B))`.

    ‖W‖² goes by rows. W is read through W Aᵀ only, r products of the base with the rows of A. Sums
    are kept in at least 32 bits, and so is the norm.
    """

    name: str = "thin-norm"

    def __call__(self, graph: Graph) -> Graph:
        return everywhere(graph, _thin_norm)


def row_products(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """The dot products of the rows of two matrices, kept in at least 32 bits."""
    wide = torch.promote_types(first.dtype, torch.float32)
    return (first * second).sum(-1, dtype=wide)


@dataclass(frozen=True, slots=True)
class _Product:
    """`factor * left @ right`, with few columns in `left`."""

    factor: float
    left: Node
    right: Node


def _thin_norm(graph: Graph, node: Node) -> Node | None:
    if not is_call(node, torch.linalg.vector_norm) or node.kwargs.get("dim") not in {1, -1}:
        return None
    terms = _terms(node.args[0], 1.0)
    thin = [term for term in terms if isinstance(term, _Product)]
    dense = [term for term in terms if isinstance(term, Node)]
    if len(dense) != 1 or not thin or not _is_matrix_of(node.args[0], dense, thin):  # pyright: ignore[reportArgumentType]
        return None
    total = _row_sum(graph, dense[0], dense[0])
    for product in thin:
        total = _plus(graph, total, _cross(graph, dense[0], product))
    for first, second in combinations_with_replacement(range(len(thin)), 2):
        times = 1 if first == second else 2
        total = _plus(graph, total, _between(graph, thin[first], thin[second], times))
    positive = call(graph, torch.clamp, total, 0, axes=axes(total))
    return call(graph, torch.sqrt, positive, axes=axes(node))


def _is_matrix_of(total: Node, dense: list[Node], thin: list[_Product]) -> bool:
    """A sum of two axes, none of whose terms is broadcast."""
    products = [(*shape(product.left)[:-1], shape(product.right)[-1]) for product in thin]
    return len(shape(total)) == 2 and all(
        size == shape(total) for size in (*map(shape, dense), *products)
    )


def _terms(value: object, factor: float) -> list[_Product | Node | None]:
    """The summands of a matrix: thin products, dense matrices, or None for one that fits
    neither.
    """
    if is_call(value, torch.add, torch.sub):
        first, second = value.args
        sign = 1.0 if is_call(value, torch.add) else -1.0
        return _terms(first, factor) + _terms(second, factor * sign)
    if inner := scaled(value):
        return _terms(inner[0], factor * inner[1])
    if is_call(value, torch.matmul):
        left, right = value.args
        rank = shape(right)[0]  # pyright: ignore[reportArgumentType]
        if 2 * rank <= min(shape(value)):
            return [_Product(factor, left, right)]  # pyright: ignore[reportArgumentType, reportReturnType]
    if isinstance(value, Node) and factor == 1.0:
        return [value]
    return [None, None]


def _cross(graph: Graph, dense: Node, product: _Product) -> Node:
    """2 rowsum(dense * product)."""
    thin = transpose(graph, call(graph, functional.linear, product.right, dense, None))
    return _times(graph, _row_sum(graph, thin, product.left), 2 * product.factor)


def _between(graph: Graph, first: _Product, second: _Product, times: int) -> Node:
    """rowsum(first * second), as many times as the square has it."""
    gram = call(graph, torch.matmul, first.right, transpose(graph, second.right))
    carried = call(graph, torch.matmul, first.left, gram)
    return _times(
        graph, _row_sum(graph, carried, second.left), times * first.factor * second.factor
    )


def _row_sum(graph: Graph, first: Node, second: Node) -> Node:
    return call(graph, row_products, first, second, axes=("out",))


def _times(graph: Graph, value: Node, factor: float) -> Node:
    return value if factor == 1.0 else call(graph, torch.mul, value, factor, axes=axes(value))


def _plus(graph: Graph, first: Node, second: Node) -> Node:
    return call(graph, torch.add, first, second, axes=axes(first))
