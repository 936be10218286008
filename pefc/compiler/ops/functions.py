"""The functions of formulas: how each is written in torch, and what becomes of the names of
axes.
"""

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from .arithmetic import broadcast_axes, factors
from .decompositions import qr, svd
from .features import halves, join, rotate_half, shuffle, split
from .matrices import block_diag, cayley, circulant, householder, identity, skew, tile
from .node import Axes, axes, call, holds_tokens, shape
from .sparse import ifft2, real, scatter


def _pointwise(
    on_tensor: Callable[..., object], on_number: Callable[[float], object] | None = None
) -> "Function":
    def emit(graph: Graph, value: object) -> object:
        if isinstance(value, Node):
            return call(graph, on_tensor, value, axes=axes(value))
        if on_number is not None:
            return on_number(value)  # pyright: ignore[reportArgumentType]
        return on_tensor(torch.tensor(value)).item()  # pyright: ignore[reportAttributeAccessIssue]

    return emit


def _axis(value: Node, axis: object) -> int:
    """The position, counted from the end, of an axis that a formula names by its dim."""
    if isinstance(axis, int):
        if axis >= 0 and holds_tokens(value):
            message = "x and y have any leading axes: name the axis, or count from the end"
            raise ValueError(message)
        return axis
    positions = [i for i, name in enumerate(axes(value)) if name == axis]
    if len(positions) != 1:
        message = f"no single axis of {list(axes(value))} is `{axis}`"
        raise ValueError(message)
    return positions[0] - len(axes(value))


def _reduction(reduce: Callable[..., object]) -> "Function":
    def emit(graph: Graph, value: Node, axis: object = None) -> Node:
        if axis is None:
            return call(graph, reduce, value, axes=())
        position = _axis(value, axis)
        names = tuple(
            name for i, name in enumerate(axes(value)) if i != position % len(axes(value))
        )
        return call(graph, reduce, value, dim=position, axes=names)

    return emit


def _diag(graph: Graph, vector: Node) -> Node:
    return call(graph, torch.diag, vector, axes=(*axes(vector), *axes(vector)))


def _eye(graph: Graph, size: int, like: Node | None = None) -> Node:
    return identity(graph, size, like or _any_number(graph))


def _any_number(graph: Graph) -> Node:
    """A tensor whose dtype new ones take: one of the method, of the site, or what it is called
    with.
    """
    nodes = (*graph.find_nodes(op="get_attr"), *graph.find_nodes(op="placeholder"))
    values = ((node, node.meta["val"]) for node in nodes)
    floats = [n for n, v in values if isinstance(v, torch.Tensor) and v.is_floating_point()]
    return next((node for node in floats if "trained" in node.meta), floats[0])


def _clamp(graph: Graph, value: Node, low: float | None = None, high: float | None = None) -> Node:
    return call(graph, torch.clamp, value, low, high, axes=axes(value))


def _softmax(graph: Graph, value: Node, axis: object = -1) -> Node:
    return call(graph, functional.softmax, value, dim=_axis(value, axis), axes=axes(value))


def _einsum(graph: Graph, equation: str, *operands: Node) -> Node:
    return call(graph, torch.einsum, equation.replace(" ", ""), *operands)


def _kron(graph: Graph, left: Node, right: Node) -> Node:
    if len(shape(left)) == len(shape(right)) == _BATCHED:
        names = (axes(left)[0] or axes(right)[0], None, None)
        return call(graph, batched_kron, left, right, axes=names)
    return call(graph, torch.kron, left, right)


_BATCHED = 3
"""Axes of a stack of matrices."""


def batched_kron(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """The Kronecker products of two stacks of matrices, one by one."""
    count, rows, columns = left.shape
    product = left[:, :, None, :, None] * right[:, None, :, None, :]
    return product.reshape(count, rows * right.shape[1], columns * right.shape[2])


def _orthonormal(graph: Graph, matrix: Node) -> Node:
    return call(graph, orthonormal_rows, matrix, axes=axes(matrix))


def orthonormal_rows(matrix: torch.Tensor) -> torch.Tensor:
    """Orthonormal rows that span those of a matrix [r, d], by Gram and Schmidt: rows that are
    orthonormal stay. In at least 32 bits: there is no smaller solver.
    """
    wide = torch.promote_types(matrix.dtype, torch.float32)
    basis, scale = torch.linalg.qr(matrix.to(wide).mT)
    signs = torch.where(scale.diagonal(dim1=-2, dim2=-1) < 0, -1.0, 1.0).to(wide)
    return (basis * signs).mT.to(matrix.dtype)


def _stack(graph: Graph, *values: Node) -> Node:
    if values and holds_tokens(values[0]):
        names = axes(values[0])
        return call(graph, torch.stack, values, -2, axes=(*names[:-1], None, names[-1]))
    return call(graph, torch.stack, values)


def _dot(graph: Graph, left: Node, right: Node) -> Node:
    """The products of [..., d] with each of [..., n, d]: [..., n]; of equal shapes, [...]."""
    if len(shape(left)) == len(shape(right)):
        return call(graph, torch.einsum, "...d,...d->...", left, right, axes=axes(left)[:-1])
    names = axes(right)[:-1]
    return call(graph, torch.einsum, "...d,...nd->...n", left, right, axes=names)


def _mix(graph: Graph, weights: Node, values: Node) -> Node:
    """The sum of [..., n, d] over n, weighted by [..., n]: [..., d]."""
    names = (*axes(values)[:-2], axes(values)[-1])
    return call(graph, torch.einsum, "...n,...nd->...d", weights, values, axes=names)


def _extremum(on_tensor: Callable[..., object], on_number: Callable[..., object]) -> "Function":
    def emit(graph: Graph, left: object, right: object) -> object:
        if isinstance(left, Node) and isinstance(right, Node):
            return call(graph, on_tensor, left, right, axes=broadcast_axes(left, right))
        return on_number(left, right)

    return emit


Function = Callable[..., object]
"""Takes the graph and the values of the arguments; appends what it needs and returns a value."""

FUNCTIONS: dict[str, Function] = {
    "sqrt": _pointwise(torch.sqrt, math.sqrt),
    "exp": _pointwise(torch.exp, math.exp),
    "log": _pointwise(torch.log, math.log),
    "abs": _pointwise(torch.abs, abs),
    "sin": _pointwise(torch.sin, math.sin),
    "cos": _pointwise(torch.cos, math.cos),
    "tanh": _pointwise(torch.tanh, math.tanh),
    "sigmoid": _pointwise(torch.sigmoid),
    "relu": _pointwise(functional.relu),
    "gelu": _pointwise(functional.gelu),
    "silu": _pointwise(functional.silu),
    "detach": _pointwise(torch.detach),
    "ceil": _pointwise(torch.ceil, math.ceil),
    "floor": _pointwise(torch.floor, math.floor),
    "int": lambda graph, value: int(value),  # noqa: ARG005
    "min": _extremum(torch.minimum, min),
    "max": _extremum(torch.maximum, max),
    "norm": _reduction(torch.linalg.vector_norm),
    "sum": _reduction(torch.sum),
    "mean": _reduction(torch.mean),
    "clamp": _clamp,
    "diag": _diag,
    "eye": _eye,
    "softmax": _softmax,
    "einsum": _einsum,
    "kron": _kron,
    "stack": _stack,
    "dot": _dot,
    "mix": _mix,
    "householder": householder,
    "skew": skew,
    "orthonormal": _orthonormal,
    "svd": svd,
    "qr": qr,
    "cayley": cayley,
    "block_diag": block_diag,
    "circulant": circulant,
    "tile": tile,
    "factors": factors,
    "split": split,
    "join": join,
    "shuffle": shuffle,
    "halves": halves,
    "rotate_half": rotate_half,
    "scatter": scatter,
    "ifft2": ifft2,
    "real": real,
}


SIZED = frozenset({"eye", "reshape"})
"""Functions whose arguments are sizes of tensors."""
BY_AXIS = frozenset({"norm", "sum", "mean", "softmax"})
"""Functions whose second argument names an axis by its dim."""


@dataclass(frozen=True, slots=True)
class Affine:
    """The value of a declared map `f: a -> b`: its weight and bias."""

    weight: Node
    bias: Node

    def of(self, graph: Graph, value: object) -> Node:
        names = axes(value)[:-1] + axes(self.bias) if isinstance(value, Node) else None
        return call(graph, functional.linear, value, self.weight, self.bias, axes=names)


def reshape(graph: Graph, value: Node, *size: int) -> Node:
    """`value.reshape(a, b)`, of a tensor whose whole shape the formula knows."""
    _refuse_tokens(value, "reshaped")
    return call(graph, torch.reshape, value, size)


def flatten(graph: Graph, value: Node, start: int = 0, stop: int = -1) -> Node:
    """`value.flatten(a, b)`."""
    _refuse_tokens(value, "flattened")
    return call(graph, torch.flatten, value, start, stop)


TENSOR_METHODS: dict[str, Function] = {"reshape": reshape, "flatten": flatten}


def index(graph: Graph, value: Node, items: tuple[object, ...]) -> Node:
    """`value[items]`, with slices, numbers and none; an axis that a slice shortens keeps its
    name.
    """
    if holds_tokens(value):
        items = _beside_tokens(items)
    names = _indexed_axes(axes(value), items)
    return call(graph, operator.getitem, value, items if len(items) != 1 else items[0], axes=names)


def _refuse_tokens(value: Node, verb: str) -> None:
    if holds_tokens(value):
        message = f"x and y have any leading axes, so they cannot be {verb}"
        raise ValueError(message)


def _beside_tokens(items: tuple[object, ...]) -> tuple[object, ...]:
    """`[:, a] --> [..., a]`: the features are chosen, the tokens stay."""
    if items[0] != slice(None):
        message = "x and y have any leading axes: index features with `[:, …]`"
        raise ValueError(message)
    return (..., *items[1:])


def _indexed_axes(names: Axes, items: tuple[object, ...]) -> Axes | None:
    kept: list[str | None] = []
    rest = list(names)
    for item in items:
        if item is None:
            kept.append(None)
        elif item is ... or isinstance(item, slice):
            kept.append(rest.pop(0))
        else:
            rest.pop(0)
    return (*kept, *rest)
