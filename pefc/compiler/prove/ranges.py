"""Where the values of a term lie, as far as intervals can tell: what may be NaN or infinite does
not vanish in a proof, since 0 · ∞ is not 0.
"""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch.nn import functional

from ..ops import solve, thin_svd
from ..passes.low_rank_norm import root, row_products
from .terms import Applied, Atom, Constant, Eye, Sum, Term

_LARGEST = 65504.0
"""Of 16 bits; larger numbers may be infinite."""
_LEAST = 1e-300
"""Stands for the smallest positive number."""


@dataclass(frozen=True, slots=True)
class Range:
    """Finite numbers from `low` to `high`; where these are infinite, nothing bounds the numbers."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def holds_zero(self) -> bool:
        return self.low <= 0 <= self.high


_ANY = Range()


@dataclass(frozen=True, slots=True)
class Ranges:
    """Ranges of terms, each worked out once. Weights, tensors that start at random and tokens are
    finite numbers, of which a row is not all zeros, and no sum overflows.
    """

    known: dict[Term, Range | None] = field(default_factory=dict)

    def are_finite(self, *values: object) -> bool:
        """Whether no entry of any of these arguments of a call may be NaN or infinite."""
        return all(self.of(value) is not None for value in values)

    def of(self, value: object) -> Range | None:
        """None where an entry may be NaN or infinite."""
        match value:
            case int() | float():
                return _number(float(value))
            case Constant(number):
                return _number(number)
            case Eye():
                return Range(0, 1)
            case Sum() | Applied():
                if value not in self.known:
                    self.known[value] = self._of(value)
                return self.known[value]
            case tuple():
                return _ANY if self.are_finite(*value) else None
            case _:
                return _ANY

    def _of(self, value: Sum | Applied) -> Range | None:
        if isinstance(value, Sum):
            scaled = [_times(self.of(term), _number(factor)) for term, factor in value.terms]
            total: Range | None = Range(0, 0)
            for each in scaled:
                total = _plus(total, each)
            return total
        if value.function in _NORMS:
            return _norm(value, self)
        arguments = value.arguments
        if not self.are_finite(*arguments):
            return None
        if _is_singular_value(value):
            return Range(0)
        if value.function not in _FUNCTIONS:
            return _ANY
        return _FUNCTIONS[value.function](*map(self.of, arguments))


def _number(value: float) -> Range | None:
    return Range(value, value) if abs(value) <= _LARGEST else None


def _within(low: float, high: float) -> Range | None:
    """A range, unless all of it is too large."""
    return None if low > _LARGEST or high < -_LARGEST else Range(low, high)


def _plus(first: Range | None, second: Range | None, *_: object) -> Range | None:
    if first is None or second is None:
        return None
    return _within(first.low + second.low, first.high + second.high)


def _minus(first: Range, second: Range) -> Range | None:
    return _plus(first, Range(-second.high, -second.low))


def _times(first: Range | None, second: Range | None) -> Range | None:
    if first is None or second is None:
        return None
    ends = [_product(a, b) for a in (first.low, first.high) for b in (second.low, second.high)]
    return _within(min(ends), max(ends))


def _product(first: float, second: float) -> float:
    """A product of ends: 0 times what is unbounded is 0, and nothing positive becomes 0."""
    if 0 in (first, second):
        return 0.0
    value = first * second
    return value or math.copysign(_LEAST, first) * math.copysign(1, second)


def _over(first: Range, second: Range) -> Range | None:
    if second.holds_zero:
        return None
    ends = sorted((1 / second.low, 1 / second.high))
    return _times(first, Range(*ends))


def _power(base: Range, exponent: Range) -> Range | None:
    number = exponent.low if exponent.low == exponent.high else math.nan
    if number == 0:
        return Range(1, 1)
    if number > 0 and number % 2 == 0:
        return Range(0 if base.holds_zero else _LEAST)
    if number > 0 and (number % 1 == 0 or base.low >= 0):
        return _ANY if base.low < 0 else Range(0 if base.holds_zero else _LEAST)
    if base.low > 0:
        return Range(_LEAST)
    is_whole = number % 1 == 0
    return _ANY if is_whole and not base.holds_zero else None


def _sqrt(value: Range) -> Range | None:
    return None if value.low < 0 else Range(math.sqrt(value.low), math.sqrt(value.high))


def _log(value: Range) -> Range | None:
    return None if value.low <= 0 else Range(math.log(value.low), math.log(value.high))


def _exp(value: Range) -> Range | None:
    """Only what is bounded: an exponential soon is infinite."""
    if value.high > math.log(_LARGEST):
        return None
    return Range(max(math.exp(value.low), _LEAST), math.exp(value.high))


def _abs(value: Range) -> Range:
    low, high = sorted((abs(value.low), abs(value.high)))
    return Range(0 if value.holds_zero else low, high)


def _remainder(first: Range, second: Range) -> Range | None:  # noqa: ARG001
    return None if second.holds_zero else _ANY


def _clamp(value: Range, low: Range, high: Range) -> Range:
    return Range(min(max(value.low, low.low), high.high), max(min(value.high, high.high), low.low))


def _total(value: Range, *_: object) -> Range:
    return Range(0 if value.low >= 0 else -math.inf, 0 if value.high <= 0 else math.inf)


def _solve(left: Range, right: Range) -> Range | None:  # noqa: ARG001
    """A matrix of one number has no inverse; of others too few have none."""
    return None if left.low == left.high else _ANY


def _norm(value: Applied, ranges: Ranges) -> Range | None:
    operands = [operand for operand in value.arguments if _is_term(operand)]
    if not ranges.are_finite(*operands):
        return None
    if value.function is row_products and operands[0] != operands[1]:
        return _ANY
    return Range(_LEAST if _varies(operands[0], ranges) else 0)


def _is_singular_value(value: Applied) -> bool:
    match value:
        case Applied(operator.getitem, (Applied(function, _), 1)):
            return function is thin_svd
        case Applied(operator.getitem | torch.narrow, (Applied() as inner, *_)):
            return _is_singular_value(inner)
        case _:
            return False


def _is_term(value: object) -> bool:
    return isinstance(value, Constant | Eye | Atom | Applied | Sum)


def _varies(value: object, ranges: Ranges) -> bool:
    """A row is hardly all zeros: it comes from weights, random numbers or tokens, by functions that
    send few numbers to zero.
    """
    match value:
        case Atom() | Eye():
            return True
        case Sum(terms):
            return any(_varies(term, ranges) for term, _ in terms)
        case Applied(function, arguments) if function in _SPREADING:
            return all(_varies(each, ranges) for each in arguments if _is_term(each))
        case Applied(function, arguments) if function in {torch.add, torch.sub}:
            return any(_varies(each, ranges) for each in arguments)
        case _:
            found = ranges.of(value)
            return found is not None and not found.holds_zero


_NORMS = {torch.linalg.vector_norm, row_products}
_SPREADING = {
    *(torch.mul, torch.matmul, torch.einsum, torch.transpose, torch.narrow, torch.index_select),
    *(torch.reshape, torch.flatten, torch.detach, torch.diag, torch.tanh, torch.sin, torch.neg),
    *(torch.Tensor.type_as, functional.linear, operator.getitem),
}
_FUNCTIONS: Mapping[object, Callable[..., Range | None]] = {
    torch.add: _plus,
    torch.sub: _minus,
    torch.mul: _times,
    torch.div: _over,
    torch.floor_divide: _remainder,
    torch.remainder: _remainder,
    torch.pow: _power,
    torch.sqrt: _sqrt,
    root: lambda value: Range(_LEAST if value.low > 0 else 0),
    torch.log: _log,
    torch.exp: _exp,
    torch.abs: _abs,
    torch.clamp: _clamp,
    torch.maximum: lambda a, b: Range(max(a.low, b.low), max(a.high, b.high)),
    torch.minimum: lambda a, b: Range(min(a.low, b.low), min(a.high, b.high)),
    torch.sigmoid: lambda _: Range(_LEAST, 1),
    functional.softmax: lambda *_: Range(_LEAST, 1),
    functional.relu: lambda value: Range(max(value.low, 0), max(value.high, 0)),
    torch.tanh: lambda _: Range(-1, 1),
    torch.sin: lambda _: Range(-1, 1),
    torch.cos: lambda _: Range(-1, 1),
    torch.sum: _total,
    torch.mean: _total,
    solve: _solve,
}
