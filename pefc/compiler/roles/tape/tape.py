"""A tape: the tensor operations of one run of a model, as a graph of frozen nodes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from torch import Tensor
from torch._ops import OpOverload  # noqa: TC002

_CARRIERS = frozenset(
    "_to_copy clone alias detach view _unsafe_view reshape permute transpose t expand slice select "
    "split split_with_sizes unbind chunk squeeze unsqueeze index index_select".split()
)
"""What a weight may go through and still be that weight."""
_PRODUCTS = frozenset("linear attention mm bmm addmm baddbmm convolution embedding".split())


@dataclass(frozen=True, slots=True)
class Reference:
    """A tensor argument: the node that made it."""

    node: int


@dataclass(frozen=True, slots=True)
class Node:
    """One tensor. An operation with several results is several nodes that differ in `result`."""

    index: int
    operation: "OpOverload | str"
    """An aten overload, or `parameter`, `buffer`, `input`, `constant`, `linear`, `attention`,
    `update`.
    """
    arguments: tuple[object, ...]
    keywords: tuple[tuple[str, object], ...]
    inputs: tuple[int, ...]
    """The nodes among the arguments, in their order."""
    shape: tuple[int, ...]
    floating: bool
    scope: str
    """The path of the module whose forward ran."""
    result: int = 0
    name: str | None = None
    """The path of a parameter or buffer, the name of an input."""
    constant: Tensor | None = None
    """The values, where the program states them."""

    @property
    def kind(self) -> str:
        """`linear`, `parameter`, …; of an aten overload its bare name, in place or not: `add`,
        `view`.
        """
        if isinstance(self.operation, str):
            return self.operation
        return self.operation._schema.name.removeprefix("aten::").removesuffix("_")


@dataclass(frozen=True, slots=True)
class Given:
    """A tensor that a call was given."""

    node: int
    index: int | None
    """The place of the parameter in the forward, without `self`; None for a keyword."""
    name: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A tensor that a call returned."""

    node: int
    place: int | str | None
    """The place in a tuple, the key of a mapping; None for what was returned alone."""


@dataclass(frozen=True, slots=True)
class Call:
    """One run of the forward of a module."""

    path: str
    entered: int
    left: int
    """When, on one clock for all calls: identities run without making a node."""
    start: int
    stop: int
    """The nodes made in it are those from start until before stop."""
    given: tuple[Given, ...]
    returned: tuple[Returned, ...]

    def holds(self, other: "Call") -> bool:
        """The other call ran inside this one."""
        return self.entered < other.entered and other.left < self.left

    def made(self, node: int) -> bool:
        """A node was made in it."""
        return self.start <= node < self.stop


@dataclass(frozen=True, slots=True)
class Product:
    """One run of an attention function out of transformers' registry."""

    module: str
    """The path of the module that ran it."""
    start: int
    stop: int
    query: tuple[int, ...]
    key: tuple[int, ...]
    """Shapes, as they were handed over: [batch, heads, length, head_dim]."""


@dataclass(frozen=True)
class Tape:
    """What happened, in order: every node stands after its inputs."""

    nodes: tuple[Node, ...]
    outputs: tuple[tuple[str, int], ...]
    """(name, node) of every tensor that the model returned; the name is its key, "" where it has
    none.
    """
    parameters: Mapping[str, tuple[int, ...]]
    """The shape of each parameter, under every name that it has."""
    owners: Mapping[str, str] = field(default_factory=dict)
    """The class of each module."""
    calls: tuple[Call, ...] = ()
    """In the order in which they returned."""
    products: tuple[Product, ...] = ()

    @cached_property
    def ancestors(self) -> tuple[int, ...]:
        """For each node the nodes that it depends on, and itself, as the bits of an int."""
        found: list[int] = []
        for node in self.nodes:
            bits = 1 << node.index
            for source in node.inputs:
                bits |= found[source]
            found.append(bits)
        return tuple(found)

    def reaches(self, source: int, target: int) -> bool:
        """`target` depends on `source`, or is it."""
        return bool(self.ancestors[target] >> source & 1)

    @cached_property
    def weights(self) -> Mapping[int, str]:
        """For every node that is a parameter, or one seen through rearrangements, its name."""
        found: dict[int, str] = {}
        for node in self.nodes:
            if node.kind == "parameter" and node.name is not None and len(node.shape) > 1:
                found[node.index] = node.name
            elif node.kind in _CARRIERS and node.inputs and node.inputs[0] in found:
                found[node.index] = found[node.inputs[0]]
        return found

    @cached_property
    def live(self) -> int:
        """The nodes that depend on an input or on a product, as bits: data, not weights nor what
        comes of them alone.
        """
        sources = 0
        for node in self.nodes:
            if node.kind == "input" or node.kind in _PRODUCTS:
                sources |= 1 << node.index
        return sum(
            1 << node.index
            for node in self.nodes
            if node.index not in self.weights and self.ancestors[node.index] & sources
        )


def common_scope(scopes: list[str]) -> str:
    """The path of the smallest module that contains all of these."""
    common = []
    for segments in zip(*(scope.split(".") for scope in scopes), strict=False):
        if len(set(segments)) > 1:
            break
        common.append(segments[0])
    return ".".join(common)


def is_inside(scope: str, outer: str) -> bool:
    """A path is that of a module or of something inside it."""
    return not outer or scope == outer or scope.startswith(f"{outer}.")
