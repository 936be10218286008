"""What a matrix costs when it is applied to the nominal input, in multiplications."""

from math import prod

import torch
from torch.fx import Node

from ..lower.nodes import TOKENS, shape
from .products import STRUCTURED
from .rewrite import is_call, is_weight


def applying(matrix: Node) -> int:
    """The cost of x Mᵀ in its cheapest order."""
    rows, columns = shape(matrix)
    if is_call(matrix, torch.diag):
        return TOKENS * rows
    if is_call(matrix, torch.mul, torch.div, torch.neg) and not isinstance(matrix.args[-1], Node):
        return applying(matrix.args[0]) + TOKENS * rows  # pyright: ignore[reportArgumentType]
    if is_call(matrix, torch.add, torch.sub) and _are_matrices(matrix):
        return sum(applying(term) for term in matrix.args) + TOKENS * rows  # pyright: ignore[reportArgumentType]
    if matrix.op == "call_function" and matrix.target in STRUCTURED:
        parts = (shape(part) for part in matrix.args if isinstance(part, Node))
        return TOKENS * STRUCTURED[matrix.target](*parts)
    if is_call(matrix, torch.matmul):
        return min(in_turn(matrix), TOKENS * rows * columns + forming(matrix))
    return TOKENS * rows * columns + forming(matrix)


def _are_matrices(total: Node) -> bool:
    """No summand is broadcast."""
    return all(isinstance(term, Node) and shape(term) == shape(total) for term in total.args)


def in_turn(product: Node) -> int:
    """The cost of (x Qᵀ) Pᵀ for a product P Q."""
    left, right = product.args
    return applying(left) + applying(right)  # pyright: ignore[reportArgumentType]


def forming(matrix: Node) -> int:
    """The cost of having the matrix at all; what several parts of it share is formed once."""
    return sum(_work(node) for node in _parts(matrix))


def holds_base(matrix: Node) -> bool:
    """The base weight is part of it: forming it would take a copy of the weight in each step."""
    return any(is_weight(node) for node in _parts(matrix))


def _parts(matrix: Node) -> dict[Node, None]:
    """A node and all that it is computed from, down to the ports of the site."""
    found: dict[Node, None] = {}
    waiting = [matrix]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found[node] = None
            waiting.extend(() if node.meta.get("port") else node.all_input_nodes)
    return found


def _work(node: Node) -> int:
    """The multiplications of one node."""
    if node.op != "call_function" or node.meta.get("port") or is_call(node, torch.diag):
        return 0
    work = prod(shape(node))
    if is_call(node, torch.matmul) and not any(is_call(part, torch.diag) for part in node.args):
        work *= shape(node.args[0])[-1]  # pyright: ignore[reportArgumentType]
    return work


def is_cheap(matrix: Node) -> bool:
    """Applied in turn, it costs less than a dense matrix of its size: worth a product of its
    own.
    """
    rows, columns = shape(matrix)
    return applying(matrix) < TOKENS * rows * columns
