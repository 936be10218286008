"""Row norms of a sum of the base weight and thin products never form the products."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import axes, call, shape, transpose
from .hoist_scalars import scaled
from .rewriter import everywhere, is_call, is_matrix


@dataclass(frozen=True, slots=True)
class ThinNorm:
    """`norm(W + s * (B @ A), in) --> root(‖W‖² + 2 s rowsum((W Aᵀ) * B) + s² rowsum((B (A Aᵀ)) *
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


def root(squares: torch.Tensor) -> torch.Tensor:
    """The lengths of rows by their squares, which rounding may have made negative. As that of a
    norm, the gradient of a row of zeros is zero, where that of a plain root is infinite.
    """
    is_positive = squares > 0
    return torch.where(is_positive, squares, 1).sqrt() * is_positive


@dataclass(frozen=True, slots=True)
class _Dense:
    """`factor * matrix`, a matrix that is there anyway."""

    factor: float
    matrix: Node

    @property
    def shape(self) -> tuple[int, ...]:
        return shape(self.matrix)


@dataclass(frozen=True, slots=True)
class _Product:
    """`factor * left @ right`, with few columns in `left`."""

    factor: float
    left: Node
    right: Node

    @property
    def shape(self) -> tuple[int, ...]:
        return *shape(self.left)[:-1], shape(self.right)[-1]


def _thin_norm(graph: Graph, node: Node) -> Node | None:
    total = node.args[0]
    if not is_call(node, torch.linalg.vector_norm) or node.kwargs.get("dim") not in {1, -1}:
        return None
    if not is_matrix(total):
        return None
    terms = list(_terms(total, 1.0))
    thin = [term for term in terms if isinstance(term, _Product)]
    dense = [term for term in terms if isinstance(term, _Dense)]
    is_broadcast = any(term.shape != shape(total) for term in terms)
    if len(dense) != 1 or not thin or is_broadcast:
        return None
    base = dense[0].matrix
    squares = _times(graph, _row_sum(graph, base, base), dense[0].factor ** 2)
    for product in thin:
        squares = _plus(graph, squares, _cross(graph, dense[0], product))
    for first, second in combinations_with_replacement(thin, 2):
        times = 1 if first is second else 2
        squares = _plus(graph, squares, _between(graph, first, second, times))
    return call(graph, root, squares, axes=axes(node))


def _terms(value: object, factor: float) -> Iterator[_Product | _Dense]:
    """The summands of a matrix, every one of them; a number is a summand of no axes."""
    if is_call(value, torch.add, torch.sub) and all(isinstance(n, Node) for n in value.args):
        first, second = value.args
        yield from _terms(first, factor)
        yield from _terms(second, factor if is_call(value, torch.add) else -factor)
    elif inner := scaled(value):
        yield from _terms(inner[0], factor * inner[1])
    elif is_call(value, torch.matmul) and _is_thin(value):
        left, right = value.args
        yield _Product(factor, left, right)  # pyright: ignore[reportArgumentType]
    else:
        assert isinstance(value, Node)
        yield _Dense(factor, value)


def _is_thin(product: Node) -> bool:
    return 2 * shape(product.args[1])[0] <= min(shape(product))  # pyright: ignore[reportArgumentType]


def _cross(graph: Graph, dense: _Dense, product: _Product) -> Node:
    """2 rowsum(dense * product)."""
    thin = transpose(graph, call(graph, functional.linear, product.right, dense.matrix, None))
    row_sum = _row_sum(graph, thin, product.left)
    return _times(graph, row_sum, 2 * dense.factor * product.factor)


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
