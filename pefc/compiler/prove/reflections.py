"""What the proof knows of reflections: a unit column times itself is one, and equal columns that
come in pairs reflect twice, which is nothing.
"""

import torch
from torch.nn import functional

from .terms import Applied, Atom, Term

_PAIRED = "paired"


def paired(name: str) -> Term:
    """A matrix whose columns come in pairs of equal ones."""
    return Applied(_PAIRED, (Atom(name),))


def normalized(value: Term, norm: object, axis: object) -> Term:
    """Columns of length one come in pairs where those do that they are made of."""
    if axis == 0 and isinstance(value, Applied) and value.function == _PAIRED:
        return Applied(_PAIRED, (normalized(value.arguments[0], norm, axis),))  # pyright: ignore[reportArgumentType]
    return Applied(functional.normalize, (value, norm, axis))


def first_of_pair(value: Term, axis: int, start: int, length: int) -> Term | None:
    """A single column of such a matrix, as the first of its pair."""
    if not isinstance(value, Applied) or value.function != _PAIRED:
        return None
    if (axis, length) != (1, 1):
        return None
    return Applied(torch.narrow, (value, 1, start - start % 2, 1))


def without_units(factors: tuple[object, ...]) -> tuple[object, ...]:
    """The chain of a product without the parts uᵀ u of unit columns u."""
    kept: list[object] = []
    for factor in factors:
        if kept and len(factors) > 2 and _is_unit(factor) and _is_transposed(kept[-1], factor):
            kept.pop()
        else:
            kept.append(factor)
    return tuple(kept)


def _is_unit(factor: object) -> bool:
    match factor:
        case Applied(torch.narrow, (columns, 1, _, 1)):
            return _are_units(columns)
        case _:
            return False


def _are_units(columns: object) -> bool:
    match columns:
        case Applied(function, (inner,)) if function == _PAIRED:
            return _are_units(inner)
        case Applied(functional.normalize, (_, _, axis)):
            return axis == 0
        case _:
            return False


def _is_transposed(factor: object, of: object) -> bool:
    return isinstance(factor, Applied) and factor == Applied(torch.transpose, (of, -2, -1))
