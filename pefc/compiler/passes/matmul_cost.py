"""What a matrix costs when it is applied to the nominal input, in multiplications."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

import torch
from torch.fx import Node

from ..ops import CREATORS, STRUCTURED, TOKENS, shape
from .rewriter import is_call, is_matrix, is_weight


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of one value."""

    parts: int
    """A bit for the value and each one that it is computed from, down to the ports of the site."""
    forming: int
    applying: int
    """0 of what is no matrix."""
    holds_base: bool


@dataclass(frozen=True, slots=True)
class Work:
    """The costs of the matrices of a graph. Each value is looked at once, however many others are
    computed from it; rewrites that keep values may go on meanwhile.
    """

    _known: dict[Node, _Known] = field(default_factory=dict)
    _order: list[int] = field(default_factory=list)
    """The multiplications of the values themselves, by the places of their bits."""

    def applying(self, matrix: Node) -> int:
        """The cost of x Mᵀ in its cheapest order."""
        return self._of(matrix).applying

    def in_turn(self, product: Node) -> int:
        """The cost of (x Qᵀ) Pᵀ for a product P Q."""
        left, right = product.args
        return self.applying(left) + self.applying(right)  # pyright: ignore[reportArgumentType]

    def forming(self, matrix: Node) -> int:
        """The cost of having the matrix at all; what several parts of it share is formed once."""
        return self._of(matrix).forming

    def holds_base(self, matrix: Node) -> bool:
        """The base weight is part of it: forming it would copy the weight in each step."""
        return self._of(matrix).holds_base

    def is_cheap(self, matrix: Node) -> bool:
        """Applied in turn, it costs less than a dense matrix of its size: worth a product of its
        own.
        """
        return self.applying(matrix) < TOKENS * prod(shape(matrix))

    def _of(self, value: Node) -> _Known:
        if value not in self._known:
            for node in _unknown(value, self._known):
                self._known[node] = self._found(node)
        return self._known[value]

    def _found(self, node: Node) -> _Known:
        sources = [self._known[source] for source in _sources(node)]
        bit = 1 << len(self._order)
        self._order.append(_work(node))
        parts, forming = bit, _work(node)
        for source in sorted(sources, key=lambda known: known.parts, reverse=True):
            new = source.parts & ~parts
            is_all = new == source.parts
            forming += source.forming if is_all else sum(self._order[place] for place in _bits(new))
            parts |= source.parts
        holds_base = is_weight(node) or any(source.holds_base for source in sources)
        applying = self._applying(node, forming) if is_matrix(node) else 0
        return _Known(parts, forming, applying, holds_base)

    def _applying(self, matrix: Node, forming: int) -> int:
        rows, columns = shape(matrix)
        dense = TOKENS * rows * columns + forming
        if is_call(matrix, torch.diag):
            return TOKENS * rows
        if is_call(matrix, torch.mul, torch.div, torch.neg) and _is_scaled(matrix):
            return self._known[matrix.args[0]].applying + TOKENS * rows  # pyright: ignore[reportArgumentType]
        if is_call(matrix, torch.add, torch.sub) and _are_matrices(matrix):
            return sum(self._known[term].applying for term in matrix.args) + TOKENS * rows  # pyright: ignore[reportArgumentType]
        if matrix.op == "call_function" and matrix.target in STRUCTURED:
            parts = (shape(part) for part in matrix.args if isinstance(part, Node))
            return TOKENS * STRUCTURED[matrix.target](*parts)
        if is_call(matrix, torch.matmul):
            return min(sum(self._known[factor].applying for factor in matrix.args), dense)  # pyright: ignore[reportArgumentType]
        return dense


def _unknown(value: Node, known: dict[Node, _Known]) -> Iterator[Node]:
    """A value and what it is computed from, as far as it is not known: each behind its sources."""
    waiting = [(value, False)]
    seen: set[Node] = set()
    while waiting:
        node, is_ready = waiting.pop()
        if is_ready:
            yield node
        elif node not in known and node not in seen:
            seen.add(node)
            waiting.append((node, True))
            waiting.extend((source, False) for source in _sources(node))


def _sources(node: Node) -> list[Node]:
    return [] if node.meta.get("port") or node.target in CREATORS else node.all_input_nodes


def _bits(number: int) -> Iterator[int]:
    """The places of the ones of a number."""
    while number:
        lowest = number & -number
        yield lowest.bit_length() - 1
        number ^= lowest


def _is_scaled(matrix: Node) -> bool:
    """A matrix times a number, or turned into its negative."""
    return isinstance(matrix.args[0], Node) and not any(
        isinstance(n, Node) for n in matrix.args[1:]
    )


def _are_matrices(total: Node) -> bool:
    """No summand is broadcast."""
    return all(isinstance(term, Node) and shape(term) == shape(total) for term in total.args)


def _work(node: Node) -> int:
    """The multiplications of one node."""
    if node.op != "call_function" or node.meta.get("port") or is_call(node, torch.diag):
        return 0
    if not isinstance(node.meta["val"], torch.Tensor):
        return 0
    work = prod(shape(node))
    if is_call(node, torch.matmul) and not any(is_call(part, torch.diag) for part in node.args):
        work *= shape(node.args[0])[-1]  # pyright: ignore[reportArgumentType]
    return work
