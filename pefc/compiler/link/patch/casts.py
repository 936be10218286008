"""Casts: a tensor of a method gets the dtype of what it meets.

Tensors that train have 32 bits, also beside weights of 16. They are cast where they meet tokens or
weights of the base, which are never cast up; the gradient comes back to 32 bits through the cast.
What is made of tensors of methods alone is computed in their dtype, and cast as a whole.
"""

from collections.abc import Callable
from enum import IntEnum
from functools import reduce

import torch
from torch import Tensor
from torch.fx import Graph, Node
from torch.fx.node import map_arg
from torch.nn import functional

from ...passes.rewriter import is_weight


class _Source(IntEnum):
    """What a floating value is made of. Of two that meet, the lower one is cast."""

    FROZEN = 0
    """Tensors of methods that do not train."""
    METHOD = 1
    """Those that train."""
    BASE = 2
    """Weights of the base."""
    TOKENS = 3


def with_casts(graph: Graph) -> Graph:
    """`linear(x, self.lora.A) --> linear(x, cast_like(self.lora.A, x))`, in a graph of its own
    where there are tensors of a method.
    """
    if not any("trained" in node.meta for node in graph.nodes):
        return graph
    writer = _Writer(graph)
    for node in graph.nodes:
        writer.write(node)
    return writer.fresh


def cast_like(value: Tensor, like: Tensor) -> Tensor:
    """A tensor in the dtype of another; autocast chooses one by itself, for each operation."""
    if value.dtype == like.dtype or _is_autocast(value):
        return value
    return value.to(like.dtype)


def cast_alike(value: Tensor, *others: Tensor) -> Tensor:
    """A tensor in the widest dtype of several."""
    wide = reduce(torch.promote_types, (other.dtype for other in others), value.dtype)
    return value if value.dtype == wide else value.to(wide)


CASTS = frozenset({cast_like, cast_alike})


def _is_autocast(value: Tensor) -> bool:
    device = value.device.type
    return torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)


class _Writer:
    """Copies a graph node by node, with the casts between."""

    def __init__(self, graph: Graph) -> None:
        self.fresh = Graph()
        self.copies: dict[Node, Node] = {}
        self.sources: dict[Node, _Source] = {}
        self.methods: dict[Node, frozenset[str]] = {}
        """Whose tensors a value is made of."""
        self.casts: dict[object, Node] = {}
        for node in graph.nodes:
            if (source := self._source(node)) is not None:
                self.sources[node] = source
                self.methods[node] = self._methods(node)
        ports = graph.find_nodes(op="placeholder")
        self.tokens = next((n for n in ports if self.sources.get(n) is _Source.TOKENS), None)

    def write(self, node: Node) -> None:
        """Append the copy of a node, whose floating operands then have one dtype."""
        reads = {other: self.copies[other] for other in node.all_input_nodes}
        if node.op.startswith("call_") and node.target not in {*CASTS, torch.Tensor.type_as}:
            reads |= self._cast(node)
        copy = self.fresh.node_copy(node, lambda other: self.copies[other])
        copy.args = map_arg(node.args, reads.__getitem__)
        copy.kwargs = map_arg(node.kwargs, reads.__getitem__)  # pyright: ignore[reportAttributeAccessIssue]
        self.copies[node] = copy

    def _cast(self, node: Node) -> dict[Node, Node]:
        """The operands of a call that are cast, and the casts."""
        known = [other for other in node.all_input_nodes if other in self.sources]
        most = max(known, key=self.sources.__getitem__, default=None)
        if most is None:
            return {}
        first = [other for other in known if self.sources[other] is self.sources[most]]
        if node.op == "call_module" and self.sources[most] < _Source.TOKENS:
            # Modules of the model compute in the dtype of tokens.
            likes = () if self.tokens is None else (self.tokens,)
            return {each: self._written(cast_like, each, *likes) for each in known if likes}
        like = _origin(most)
        found = {each: self._written(cast_like, each, like) for each in known if each not in first}
        if self.sources[most] is _Source.METHOD and len({self.methods[each] for each in first}) > 1:
            found |= {each: self._written(cast_alike, each, *first) for each in first}
        return found

    def _written(self, cast: Callable[..., Tensor], *nodes: Node) -> Node:
        """A cast of the first of some nodes, like the others."""
        if _is_base(nodes[0]):
            return self.copies[nodes[0]]
        key = (cast, *nodes)
        if key not in self.casts:
            copies = tuple(self.copies[node] for node in nodes)
            self.casts[key] = self.fresh.call_function(cast, copies)
            self.casts[key].meta.update(nodes[0].meta)
        return self.casts[key]

    def _source(self, node: Node) -> _Source | None:
        if not _is_floating(node):
            return None
        if "trained" in node.meta and node.op in _READS:
            return _of_method(node)
        known = (self.sources[o] for o in node.all_input_nodes if o in self.sources)
        match node.op:
            case "placeholder":
                return _Source.TOKENS
            case "get_attr":
                return _Source.BASE
            case "call_module":
                return max([_Source.BASE, *known])
            case "call_function" if node.target is cast_like:
                return self.sources.get(node.args[1])  # pyright: ignore[reportArgumentType, reportCallIssue]
            case _:
                return max(known, default=None)

    def _methods(self, node: Node) -> frozenset[str]:
        if node.op in _READS:
            return frozenset({node.meta.get("method", "")})
        before = (self.methods.get(other, frozenset()) for other in node.all_input_nodes)
        return frozenset().union(*before)


_KEPT = {torch.reshape, torch.transpose, torch.narrow, functional.dropout}
"""Their value has the dtype of their first operand."""


def _origin(node: Node) -> Node:
    """The first value that has the dtype of another for certain, so that one cast serves both."""
    while node.target in _KEPT:
        node = node.args[0]  # pyright: ignore[reportAssignmentType]
    return node


_READS = {"get_attr", "placeholder"}


def _is_floating(node: Node) -> bool:
    """Whether a value is a floating tensor, or several of them."""
    value = node.meta.get("val")
    parts = value if isinstance(value, tuple | list) else (value,)
    return any(isinstance(part, Tensor) and part.is_floating_point() for part in parts)


def _is_base(node: Node) -> bool:
    """Whether a node is a parameter of the base, which stays as it is."""
    is_read = node.op == "get_attr" and node.meta.get("owned", "trained" not in node.meta)
    return is_weight(node) or is_read


def _of_method(node: Node) -> _Source:
    """A task's copy of a parameter stands in the place of that parameter."""
    if node.meta["owned"]:
        return _Source.BASE
    return _Source.METHOD if node.meta["trained"] else _Source.FROZEN
