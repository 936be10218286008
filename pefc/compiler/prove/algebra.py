"""The algebra of the identity proof, a rule a function. A rule returns None where it says
nothing.
"""

import operator
from collections.abc import Callable, Mapping

import torch
from torch.nn import functional

from ...runtime.tasks import gated_rows
from ..ops import (
    batched_kron,
    block_circulant,
    block_diagonal,
    circulant_product,
    doubled,
    entries_to_matrix,
    identity_like,
    inverse_fourier,
    kron_product,
    rotated_halves,
    scattered,
    solve,
    tiled,
    tiled_product,
)
from ..passes.fuse_addmm import addmm_rows
from ..passes.low_rank_norm import root
from .reflections import first_of_pair, normalized, without_units
from .terms import ONE, ZERO, Applied, Constant, Eye, Rule, Sum, Term, combined


def _add(first: Term, second: object) -> Term | None:
    if second in (ZERO, 0):
        return first
    return second if first == ZERO and isinstance(second, Term) else None


def _sub(first: Term, second: object) -> Term | None:
    if first == second:
        return ZERO
    return first if second in (ZERO, 0) else None


def _mul(first: Term, second: object) -> Term | None:
    if ZERO in (first, second) or second == 0:
        return ZERO
    if second in (ONE, 1):
        return first
    return second if first == ONE and isinstance(second, Term) else None


def _div(first: Term, second: object) -> Term | None:
    return first if second in (ONE, 1) else None


def _product(*operands: object) -> Term | None:
    return ZERO if ZERO in operands else None


def _linear(x: Term, weight: Term, bias: Term | None = None) -> Term | None:
    return ZERO if ZERO in (x, weight) and bias in (None, ZERO) else None


def _addmm(base: Term, thin: Term, weight: Term, _: object) -> Term | None:
    return base if ZERO in (thin, weight) else None


def _zero_stays(value: object, *_: object) -> Term | None:
    return ZERO if value == ZERO else None


def _constant_stays(value: object, *_: object) -> Term | None:
    return value if isinstance(value, Constant) else None


def _one_of_zero(value: Term) -> Term | None:
    return ONE if value == ZERO else None


def _same(value: Term, *_: object) -> Term | None:
    return value


def _diag(vector: Term) -> Term | None:
    if vector == ONE:
        return Eye()
    return ZERO if vector == ZERO else None


def _transpose(value: Term, *_: object) -> Term | None:
    return value if isinstance(value, Constant | Eye) else None


def _slice_scatter(whole: Term, part: Term, axis: int, start: int, stop: int) -> Term | None:
    taken = _constant_stays(whole) or Applied(torch.narrow, (whole, axis, start, stop - start))
    return whole if part == taken else None


def _index_copy(whole: Term, axis: int, rows: Term, part: Term) -> Term | None:
    taken = _constant_stays(whole) or Applied(torch.index_select, (whole, axis, rows))
    return whole if part == taken else None


def _where(_: object, chosen: Term, otherwise: Term) -> Term | None:
    return chosen if chosen == otherwise else None


def _block_diagonal(blocks: Term) -> Term | None:
    return blocks if blocks in (ZERO, Eye()) else None


_ZERO_STAYS = (
    functional.relu,
    functional.gelu,
    functional.silu,
    functional.dropout,
    torch.tanh,
    torch.sin,
    torch.abs,
    torch.sqrt,
    torch.neg,
    torch.sum,
    torch.mean,
    torch.kron,
    torch.real,
    entries_to_matrix,
    block_circulant,
    tiled,
    rotated_halves,
    scattered,
    inverse_fourier,
    root,
)
_CONSTANT_STAYS = (
    torch.reshape,
    torch.flatten,
    torch.unflatten,
    torch.narrow,
    torch.select,
    torch.index_select,
    torch.broadcast_to,
    doubled,
    torch.t,
    torch.unsqueeze,
)

EXACT_RULES: Mapping[object, Rule] = {
    torch.add: _add,
    torch.sub: _sub,
    torch.mul: _mul,
    torch.div: _div,
    torch.matmul: _product,
    torch.einsum: _product,
    functional.linear: _linear,
    addmm_rows: _addmm,
    torch.diag: _diag,
    torch.detach: _same,
    torch.Tensor.type_as: _same,
    torch.cos: _one_of_zero,
    torch.exp: _one_of_zero,
    torch.transpose: _transpose,
    torch.full: lambda shape, value: Constant(float(value)),  # noqa: ARG005
    torch.Tensor.new_zeros: lambda like, shape: ZERO,  # noqa: ARG005
    torch.Tensor.new_full: lambda like, shape, value: Constant(float(value)),  # noqa: ARG005
    torch.slice_scatter: _slice_scatter,
    torch.index_copy: _index_copy,
    torch.where: _where,
    batched_kron: _product,
    gated_rows: _product,
    kron_product: _product,
    circulant_product: _product,
    tiled_product: _product,
    identity_like: lambda like, size: Eye(),  # noqa: ARG005
    block_diagonal: _block_diagonal,
    operator.getitem: _constant_stays,
    **dict.fromkeys(_ZERO_STAYS, _zero_stays),
    **dict.fromkeys(_CONSTANT_STAYS, _constant_stays),
}
"""What holds in floating point too, for finite values."""


def _add_up(first: Term, second: object) -> Term | None:
    return combined(first, second, 1.0) if isinstance(second, Term) else None


def _take_away(first: Term, second: object) -> Term | None:
    return combined(first, second, -1.0) if isinstance(second, Term) else None


def _scale(first: Term, second: object) -> Term | None:
    simple = _mul(first, second)
    if simple is not None:
        return simple
    return combined(ZERO, first, float(second)) if isinstance(second, int | float) else None


def _divide(first: Term, second: object) -> Term | None:
    if first == second and first != ZERO:
        return ONE
    if isinstance(second, int | float):
        return combined(ZERO, first, 1 / second)
    return _div(first, second)


def _matmul(left: Term, right: Term) -> Term:
    if left == Eye():
        return right
    if right == Eye():
        return left
    if isinstance(left, Sum) and len(left.terms) <= _FEW:
        total: Term = ZERO
        for term, factor in left.terms:
            total = combined(total, _matmul(term, right), factor)
        return total
    return _product(left, right) or _chain((*_factors(left), *_factors(right)))


_FEW = 8
"""Summands that a product is distributed over."""


def _chain(factors: tuple[object, ...]) -> Term:
    kept = without_units(factors)
    return kept[0] if len(kept) == 1 else Applied(torch.matmul, kept)  # pyright: ignore[reportReturnType]


def _factors(term: Term) -> tuple[object, ...]:
    """A product as the chain of its factors: where the parentheses stand makes no difference."""
    is_product = isinstance(term, Applied) and term.function is torch.matmul
    return term.arguments if is_product else (term,)  # pyright: ignore[reportAttributeAccessIssue]


def _linear_map(x: Term, weight: Term, bias: Term | None = None) -> Term | None:
    if bias not in (None, ZERO):
        return None
    if weight == Eye():
        return x
    return _linear(x, weight, bias) or _matmul(x, _transposed(weight))


def _transposed(matrix: Term) -> Term:
    if isinstance(matrix, Constant):
        return matrix
    if isinstance(matrix, Applied) and matrix.function is torch.transpose:
        return matrix.arguments[0]  # pyright: ignore[reportReturnType]
    return Applied(torch.transpose, (matrix, -2, -1))


def _solve(left: Term, right: Term) -> Term | None:
    return right if left == Eye() else None


def _narrow(value: Term, axis: int, start: int, length: int) -> Term | None:
    column = first_of_pair(value, axis, start, length)
    if column is not None:
        return column
    return _rows(value, axis, lambda rows: Applied(torch.narrow, (rows, 0, start, length)))


def _index_select(value: Term, axis: int, numbers: Term) -> Term | None:
    return _rows(value, axis, lambda rows: Applied(torch.index_select, (rows, 0, numbers)))


def _rows(value: Term, axis: int, take: Callable[[Term], Term]) -> Term | None:
    """Rows of a map's output are the output of the map's rows."""
    if isinstance(value, Constant):
        return value
    if axis != -1 or not isinstance(value, Applied):
        return None
    if value.function is functional.linear:
        x, *parameters = value.arguments
        cut = tuple(None if p is None else take(p) for p in parameters)  # pyright: ignore[reportArgumentType]
        return Applied(functional.linear, (x, *cut))
    if value.function is torch.matmul:
        *first, last = value.arguments
        return Applied(torch.matmul, (*first, _transposed(take(_transposed(last)))))  # pyright: ignore[reportArgumentType]
    return None


def _put_rows(whole: Term, part: Term, axis: int, start: int, stop: int) -> Term | None:
    is_whole = part == _narrow(whole, axis, start, stop - start)
    return whole if is_whole else _slice_scatter(whole, part, axis, start, stop)


def _copy_rows(whole: Term, axis: int, rows: Term, part: Term) -> Term | None:
    is_whole = part == _index_select(whole, axis, rows)
    return whole if is_whole else _index_copy(whole, axis, rows, part)


ROUNDING_RULES: Mapping[object, Rule] = {
    torch.add: _add_up,
    torch.sub: _take_away,
    torch.mul: _scale,
    torch.div: _divide,
    torch.matmul: _matmul,
    functional.linear: _linear_map,
    solve: _solve,
    functional.normalize: normalized,
    torch.narrow: _narrow,
    torch.index_select: _index_select,
    torch.slice_scatter: _put_rows,
    torch.index_copy: _copy_rows,
}
"""What holds in exact arithmetic only."""
