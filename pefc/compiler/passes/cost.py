"""What a matrix costs when it is applied to the nominal input, in multiplications."""

import torch
from torch.fx import Node

from ..lower.nodes import TOKENS, shape
from .rewrite import is_call, is_weight


def applying(matrix: Node) -> int:
    """The cost of x Mᵀ in its cheapest order."""
    rows, columns = shape(matrix)
    if is_call(matrix, torch.diag):
        return TOKENS * rows
    if is_call(matrix, torch.mul, torch.div, torch.neg) and not isinstance(matrix.args[-1], Node):
        return applying(matrix.args[0]) + TOKENS * rows  # pyright: ignore[reportArgumentType]
    if is_call(matrix, torch.matmul):
        return min(in_turn(matrix), TOKENS * rows * columns + forming(matrix))
    return TOKENS * rows * columns + forming(matrix)


def in_turn(product: Node) -> int:
    """The cost of (x Qᵀ) Pᵀ for a product P Q."""
    left, right = product.args
    return applying(left) + applying(right)  # pyright: ignore[reportArgumentType]


def forming(matrix: Node) -> int:
    """The cost of having the matrix at all."""
    if matrix.op != "call_function" or matrix.meta.get("port"):
        return 0
    size = shape(matrix)
    work = 1
    for length in size:
        work *= length
    if is_call(matrix, torch.matmul) and not any(
        is_call(factor, torch.diag) for factor in matrix.args
    ):
        work *= shape(matrix.args[0])[-1]  # pyright: ignore[reportArgumentType]
    if is_call(matrix, torch.diag):
        return 0
    return work + sum(forming(operand) for operand in matrix.all_input_nodes)


def holds_base(matrix: Node) -> bool:
    """The base weight is part of it: forming it would take a copy of the weight in each step."""
    return is_weight(matrix) or any(holds_base(operand) for operand in matrix.all_input_nodes)


def is_cheap(matrix: Node) -> bool:
    """Applied in turn, it costs less than a dense matrix of its size: worth a product of its
    own.
    """
    rows, columns = shape(matrix)
    return applying(matrix) < TOKENS * rows * columns
