"""Operators of formulas, on numbers and on nodes alike; numbers fold as they are met."""

import operator
from collections.abc import Callable

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ...dsl.evaluation import power
from .limits import LARGEST_PRODUCT
from .node import Axes, axes, call, shown

_NUMBERS: dict[str, Callable[[object, object], object]] = {  # pyright: ignore[reportAssignmentType]
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "@": operator.matmul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": power,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "and": lambda left, right: left and right,
    "or": lambda left, right: left or right,
}

_TENSORS: dict[str, Callable[..., object]] = {
    "+": torch.add,
    "-": torch.sub,
    "*": torch.mul,
    "@": torch.matmul,
    "/": torch.div,
    "//": torch.floor_divide,
    "%": torch.remainder,
    "**": torch.pow,
}


def binary(graph: Graph, sign: str, left: object, right: object) -> object:
    """`left sign right`; a number on the left of a commutative operator moves to the right."""
    if not isinstance(left, Node) and not isinstance(right, Node):
        if isinstance(left, str | tuple) and sign in _TENSORS:
            raise TypeError(f"`{sign}` takes numbers and tensors")
        return _NUMBERS[sign](left, right)
    if sign not in _TENSORS:
        message = f"`{sign}` compares numbers that are known at compile time"
        raise TypeError(message)
    if not isinstance(left, Node) and sign in {"+", "*"}:
        left, right = right, left
    if isinstance(right, int | float) and not isinstance(right, bool):
        if (sign in {"*", "/", "**"} and right == 1) or (sign in {"+", "-"} and right == 0):
            return left
        if sign in {"/", "//", "%"} and right == 0:
            raise ZeroDivisionError("it divides by zero")
    names = matmul_axes(left, right) if sign == "@" else broadcast_axes(left, right)
    try:
        return call(graph, _TENSORS[sign], left, right, axes=names)
    except RuntimeError as error:
        message = f"{_shown(left)} {sign} {_shown(right)} do not fit"
        raise ValueError(message) from error


def _shown(value: object) -> str:
    return shown(value) if isinstance(value, Node) else str(value)


def negate(graph: Graph, value: object) -> object:
    """`-value`."""
    return call(graph, torch.neg, value, axes=axes(value)) if isinstance(value, Node) else -value  # pyright: ignore[reportOperatorIssue]


def transpose(graph: Graph, value: Node) -> Node:
    """The last two axes exchanged."""
    names = axes(value)
    return call(graph, torch.transpose, value, -2, -1, axes=(*names[:-2], names[-1], names[-2]))


def broadcast_axes(*values: object) -> Axes:
    """The axis names of an elementwise result, aligned from the right."""
    named = [axes(value) for value in values if isinstance(value, Node)]
    rank = max(len(names) for names in named)
    padded = [(None,) * (rank - len(names)) + names for names in named]
    return tuple(
        next((name for name in column if name), None) for column in zip(*padded, strict=True)
    )


def matmul_axes(left: object, right: object) -> Axes:
    """The axis names of a matrix product."""
    if not isinstance(left, Node) or not isinstance(right, Node):
        return ()
    first, second = axes(left), axes(right)
    rows = first[-2:-1] if len(first) > 1 else ()
    columns = second[-1:] if len(second) > 1 else ()
    batch = max(first[:-2], second[:-2], key=len)
    return (*batch, *rows, *columns)


def dropped_out(graph: Graph, x: Node, probability: float, training: Node) -> Node:
    """x with entries dropped while the site trains."""
    return call(graph, functional.dropout, x, probability, training, axes=axes(x))


def factors(graph: Graph, value: int, factor: int) -> tuple[int, int]:  # noqa: ARG001
    """Two numbers whose product is `value`: `factor` and the rest, where it divides; else the pair
    with the smallest sum whose first is no larger than `factor`, or than the second where `factor`
    is -1.
    """
    if value > LARGEST_PRODUCT:
        raise ValueError(f"{value} is too large for its factors to be sought")
    if factor > 0 and value % factor == 0:
        return factor, value // factor
    most = value if factor == -1 else factor
    first = 1
    for divisor in range(2, value):
        if divisor > most or divisor > value // divisor:
            break
        if value % divisor == 0:
            first = divisor
    return first, value // first
