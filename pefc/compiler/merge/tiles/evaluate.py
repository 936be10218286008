"""Values of a graph of parameters, worked out strip by strip, so that none of the size of the
weight is held.
"""

from collections.abc import Iterator
from math import inf, prod
from typing import Protocol, cast

from torch import Tensor
from torch.fx import Graph, Node

from ...ops import CREATORS, shape
from .rules import step
from .tile import Places, Step, called, taken

PART = 1 << 17
"""About as many numbers has a strip."""


class Leaves(Protocol):
    """The tensors that a graph reads, in one dtype."""

    @property
    def like(self) -> Tensor:
        """An empty tensor of that dtype, on the device."""
        ...

    def whole(self, path: str) -> object: ...

    def part(self, path: str, axis: int, places: Places) -> Tensor: ...

    def is_large(self, path: str) -> bool:
        """Whether a tensor is not there anyway, so that all of it should not be asked for."""
        ...


class Strips:
    """Works out values of a graph, and keeps those that every strip needs whole."""

    def __init__(self, graph: Graph, leaves: Leaves) -> None:
        self._leaves = leaves
        self._steps: dict[tuple[Node, int], Step | None] = {}
        self._costs: dict[Node, tuple[float, int | None]] = {}
        self._kept: dict[Node, object] = {}
        self._numbers = _Numbers(leaves)
        self._known: dict[tuple[Node, int, Places], Tensor] = {}
        """Of the strip that is being worked out."""
        self._large: set[Node] = set()
        """What depends on a large leaf."""
        for node in graph.nodes:
            is_leaf = node.op == "get_attr" and leaves.is_large(str(node.target))
            if is_leaf or any(source in self._large for source in _sources(node)):
                self._large.add(node)

    def strips(self, node: Node, along: int, grain: int = 1) -> Iterator[tuple[int, range]]:
        """An axis of a value, and the places along it that are best worked out at once, one after
        the other. The axis is `along` unless another one needs less, although strips along that one
        have to be put together.
        """
        axes = range(-len(shape(node)), 0)
        more = prod(shape(node)) // 2
        axis = min(axes, key=lambda axis: self._cost(node, axis) + (more if axis != along else 0))
        for places in self._cut(node, axis, grain):
            self._known = {}
            yield axis, places
        self._known = {}

    def part(self, node: Node, axis: int, places: Places) -> Tensor:
        """Some places of a value along an axis."""
        key = (node, axis, places)
        if key not in self._known:
            self._known[key] = self._part(node, axis, places)
        return self._known[key]

    def whole(self, node: Node) -> object:
        """All of a value."""
        if node not in self._kept:
            self._kept[node] = self._whole(node)
        return self._kept[node]

    def _part(self, node: Node, axis: int, places: Places) -> Tensor:
        if node.op == "get_attr":
            return self._leaves.part(str(node.target), axis, places)
        found = self._step(node, axis)
        if found is None:
            return taken(cast("Tensor", self.whole(node)), axis, places)
        values: list[object] = []
        for need in found.needs:
            wanted = need.places(places)
            if need.axis is None:
                values.append(self.whole(need.node))
            else:
                values.append(self.part(need.node, need.axis, wanted) if len(wanted) else None)
        return found.compute(self._leaves.like, places, *values)

    def _whole(self, node: Node) -> object:
        if node.op == "get_attr":
            return self._leaves.whole(str(node.target))
        _, axis = self._best(node)
        if axis is not None and (node in self._large or prod(shape(node)) > PART):
            return self._gathered(node, axis)
        operands = _sources(node)
        known = {each: self._passing(each) for each in operands}
        known |= dict.fromkeys(set(node.all_input_nodes) - set(operands), self._leaves.like)
        return called(node, cast("dict[Node, Tensor]", known))

    def _passing(self, node: Node) -> object:
        """All of a value that is needed once: kept if it is small."""
        value = node.meta["val"]
        if isinstance(value, Tensor) and value.numel() > PART and node not in self._kept:
            return self._whole(node)
        return self.whole(node)

    def _gathered(self, node: Node, axis: int) -> Tensor:
        outer, self._known = self._known, {}
        made: Tensor | None = None
        for places in self._cut(node, axis, 1):
            self._known = {}
            part = self._part(node, axis, places)
            made = part.new_empty(shape(node)) if made is None else made
            taken(made, axis, places).copy_(part)
        self._known = outer
        assert made is not None
        return made

    def _step(self, node: Node, axis: int) -> Step | None:
        if (node, axis) not in self._steps:
            self._steps[node, axis] = step(node, axis, self._numbers)
        return self._steps[node, axis]

    def _cut(self, node: Node, axis: int, grain: int) -> Iterator[range]:
        """Ranges along an axis, so that no strip that they need has many more than `PART` numbers,
        and of a multiple of `grain` places.
        """
        strips, _ = self._needs(node, axis)
        width = max(prod(shape(each)) // max(1, shape(each)[along]) for each, along in strips)
        count = -(-max(1, PART // max(1, width)) // grain) * grain
        length = shape(node)[axis]
        for start in range(0, length, count):
            yield range(start, min(start + count, length))

    def _cost(self, node: Node, axis: int) -> float:
        """How many numbers are held at once beside a strip along an axis."""
        return sum(self._best(each)[0] for each in self._needs(node, axis)[1])

    def _needs(self, node: Node, axis: int) -> tuple[set[tuple[Node, int]], set[Node]]:
        """The values of which a strip needs a strip, along which axis, and those that it needs
        whole.
        """
        strips: set[tuple[Node, int]] = set()
        whole: set[Node] = set()
        left = [(node, axis)]
        while left:
            here = left.pop()
            if here in strips:
                continue
            strips.add(here)
            made = self._step(*here)
            if made is None and here[0].op != "get_attr":
                whole.add(here[0])
            for need in () if made is None else made.needs:
                if need.axis is None:
                    whole.add(need.node)
                else:
                    left.append((need.node, need.axis))
        return strips, whole

    def _best(self, node: Node) -> tuple[float, int | None]:
        """How many numbers are held at once for all of a value, and the axis along which it is best
        put together; None for at once.
        """
        if node not in self._costs:
            self._costs[node] = self._best_of(node)
        return self._costs[node]

    def _best_of(self, node: Node) -> tuple[float, int | None]:
        value = node.meta["val"]
        if node.op == "get_attr":
            return (float(value.numel()) if node in self._large else 0.0), None
        if not isinstance(value, Tensor):
            return sum(self._best(each)[0] for each in _sources(node)), None
        at_once = sum(self._best(each)[0] for each in _sources(node))
        axes = [a for a in range(-value.ndim, 0) if self._step(node, a) is not None]
        best, axis = min(((self._cost(node, a), a) for a in axes), default=(inf, None))
        if best <= at_once:
            return best + value.numel(), axis
        return at_once + value.numel(), None


class _Numbers:
    """Reads row numbers, once. It knows nothing of the strips whose steps hold it: these go, with
    all that they keep, when nobody needs them.
    """

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves
        self._known: dict[Node, tuple[int, ...]] = {}

    def __call__(self, node: Node) -> tuple[int, ...]:
        if node not in self._known:
            found = cast("Tensor", self._leaves.whole(str(node.target)))
            self._known[node] = tuple(found.tolist())
        return self._known[node]


def _sources(node: Node) -> list[Node]:
    """The operands whose values count."""
    return [] if node.target in CREATORS else node.all_input_nodes
