"""Indices: positions in a matrix that a method names once and keeps."""

from collections.abc import Callable
from math import prod

import torch

from ....dsl import syntax
from ....dsl.diagnostics.compiling import FormulaFailed, NotLowered
from ....dsl.diagnostics.report import SpecError
from .declarations import SAMPLE, Declared


def index(
    item: syntax.Indices,
    size: Callable[[syntax.Expression], int],
    number: Callable[[syntax.Expression], object],
) -> Declared:
    """`index I: [n] of [a, b] = sample(key)`: n positions, each once, counted row by row.

    Raises SpecError where there are not so many, and where the form has no lowering.
    """
    match item:
        case syntax.Indices(
            names=(name,),
            shapes=((count,),),
            of=(_, _) as of,
            value=syntax.Call(syntax.Name("sample"), (syntax.Argument(value=key),)),
        ):
            rows, columns = (size(extent) for extent in of)
        case _:
            raise SpecError([NotLowered(item.span, "this index")])
    wanted = size(count)
    if wanted > rows * columns:
        reason = f"{wanted} positions are more than [{rows}, {columns}] has"
        raise SpecError([FormulaFailed(count.span, reason)])
    drawn = (SAMPLE, (number(key),))
    is_small = prod((rows, columns)) <= torch.iinfo(torch.int32).max
    dtype = torch.int32 if is_small else torch.int64
    rest = (True, item.scope, None, drawn, None, item.span, dtype, (rows, columns))
    return Declared(name, (wanted,), (None,), *rest)
