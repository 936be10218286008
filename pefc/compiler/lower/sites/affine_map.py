"""A linear site as a map from x to y, and what a rule makes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ...ops import TOKEN_AXIS, attribute, axes, call, identity_like, shape
from ..method import Rows


class SiteMap(Protocol):
    """y as a function of x; affine maps know their weight [out, in] and bias [out]."""

    def weight(self) -> Node: ...

    def bias(self) -> Node | None: ...

    def call(self, x: Node) -> Node: ...


@dataclass(frozen=True, slots=True)
class AffineMap:
    """y = x Wᵀ + b."""

    graph: Graph
    matrix: Node
    offset: Node | None

    def weight(self) -> Node:
        return self.matrix

    def bias(self) -> Node | None:
        return self.offset

    def call(self, x: Node) -> Node:
        return call(
            self.graph, functional.linear, x, self.matrix, self.offset, axes=(*axes(x)[:-1], "out")
        )


@dataclass(frozen=True, slots=True)
class FunctionMap:
    """Any y(x). Its weight and bias, where it is affine, come from closed forms or from its values
    at I and 0.
    """

    graph: Graph
    apply: Callable[[Node], Node]
    sample: Callable[[], Node]
    """A weight [out, in], whose shape and dtype the probing inputs take."""
    matrix: Callable[[], Node] | None = None
    offset: Callable[[], Node | None] | None = None

    def weight(self) -> Node:
        if self.matrix is not None:
            return self.matrix()
        like = self.sample()
        identity = call(self.graph, identity_like, like, shape(like)[1], axes=(TOKEN_AXIS, "in"))
        change = call(self.graph, torch.sub, self.call(identity), self._at_zero())
        return call(self.graph, torch.transpose, change, -2, -1, axes=("out", "in"))

    def bias(self) -> Node | None:
        if self.offset is not None:
            return self.offset()
        return call(self.graph, torch.select, self._at_zero(), 0, 0, axes=("out",))

    def _at_zero(self) -> Node:
        like = self.sample()
        zero = call(
            self.graph, torch.Tensor.new_zeros, like, (1, shape(like)[1]), axes=(TOKEN_AXIS, "in")
        )
        return self.call(zero)

    def call(self, x: Node) -> Node:
        return self.apply(x)


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of a fused map: a range, or several whose row numbers are the tensor at `target`."""

    graph: Graph
    rows: Rows
    target: str

    def take(self, value: Node, axis: int) -> Node:
        """The rows of a value along an axis."""
        names = axes(value)
        if len(self.rows) == 1:
            start, stop = self.rows[0]
            return call(self.graph, torch.narrow, value, axis, start, stop - start, axes=names)
        return call(self.graph, torch.index_select, value, axis, self._numbers(), axes=names)

    def put(self, value: Node, part: Node, axis: int) -> Node:
        """A value with these rows replaced."""
        names = axes(value)
        part = call(self.graph, torch.Tensor.type_as, part, value, axes=axes(part))
        if len(self.rows) == 1:
            start, stop = self.rows[0]
            return call(self.graph, torch.slice_scatter, value, part, axis, start, stop, axes=names)
        return call(self.graph, torch.index_copy, value, axis, self._numbers(), part, axes=names)

    def _numbers(self) -> Node:
        count = sum(stop - start for start, stop in self.rows)
        node = attribute(self.graph, self.target, (count,), (None,))
        node.meta["val"] = node.meta["val"].long()
        return node

    def restrict(self, whole: SiteMap) -> SiteMap:
        """The part of a map that gives these rows."""
        if isinstance(whole, AffineMap):
            offset = None if whole.offset is None else self.take(whole.offset, 0)
            return AffineMap(self.graph, self.take(whole.matrix, 0), offset)
        return FunctionMap(
            self.graph,
            apply=lambda x: self.take(whole.call(x), -1),
            sample=lambda: self.take(whole.weight(), 0),
            matrix=lambda: self.take(whole.weight(), 0),
            offset=lambda: _optional(lambda bias: self.take(bias, 0), whole.bias()),
        )

    def embed(self, whole: SiteMap, part: SiteMap) -> SiteMap:
        """A whole map with these rows computed by another."""
        return FunctionMap(
            self.graph,
            apply=lambda x: self.put(whole.call(x), part.call(x), -1),
            sample=whole.weight,
            matrix=lambda: self.put(whole.weight(), part.weight(), 0),
            offset=lambda: self._bias(whole, part),
        )

    def written(self, whole: SiteMap, part: SiteMap) -> AffineMap:
        """A whole map with these rows of its parameters replaced; both are affine."""
        assert isinstance(whole, AffineMap)
        assert isinstance(part, AffineMap)
        return AffineMap(
            self.graph, self.put(whole.matrix, part.matrix, 0), self._bias(whole, part)
        )

    def _bias(self, whole: SiteMap, part: SiteMap) -> Node | None:
        new = part.bias()
        if new is None:
            return whole.bias()
        old = whole.bias()
        if old is None:
            old = call(
                self.graph,
                torch.Tensor.new_zeros,
                whole.weight(),
                shape(whole.weight())[:1],
                axes=("out",),
            )
        return self.put(old, new, 0)


def added(graph: Graph, first: Node, second: Node, sign: str = "+") -> Node:
    """first ± second, elementwise."""
    return call(graph, torch.add if sign == "+" else torch.sub, first, second, axes=axes(first))


def _optional(function: Callable[[Node], Node], value: Node | None) -> Node | None:
    return None if value is None else function(value)
