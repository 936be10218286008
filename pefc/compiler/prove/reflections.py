"""What the proof knows of reflections: a unit column times itself is one, and equal columns that
come in pairs reflect twice, which is nothing.
"""

import torch
from torch.nn import functional

from .terms import Applied, Atom, Term

_DIM = ("dim", 0)


def paired(name: str) -> Term:
    """A matrix whose columns come in pairs of equal ones."""
    return Applied("paired", (Atom(name),))


def first_of_pair(value: Term, axis: int, start: int, length: int) -> Term | None:
    """A single column of such a matrix, as the first of its pair."""
    if not isinstance(value, Applied) or value.function != "paired":
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
        case Applied(functional.normalize, (Applied(torch.narrow, (_, 1, _, 1)), dim)):
            return dim == _DIM
        case _:
            return False


def _is_transposed(factor: object, of: object) -> bool:
    return isinstance(factor, Applied) and factor == Applied(torch.transpose, (of, -2, -1))
