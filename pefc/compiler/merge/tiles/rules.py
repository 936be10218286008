"""What a strip of a call is made of: `(W + B @ A)[i] --> W[i] + B[i] @ A`."""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor
from torch.fx import Node
from torch.nn import functional

from ...ops import identity_like, shape
from ...passes.merge_block_diagonal import blocks_times, times_blocks
from .structured import REPEATED
from .tile import Need, Numbers, Places, Rule, Step, called, from_end, of_values, operand
from .views import SHAPING


def step(node: Node, axis: int, numbers: Numbers) -> Step | None:
    """How places along an axis of a call are worked out; None where all of it has to be."""
    if node.op != "call_function":
        return None
    if node.target in _ELEMENTWISE:
        return _elementwise(node, axis)
    rule = _RULES.get(node.target)
    return None if rule is None else rule(node, axis, numbers)


def _elementwise(node: Node, axis: int) -> Step:
    """`(a + b)[i] --> a[i] + b[i]`; what is broadcast along the axis is needed whole."""
    operands = tuple(node.all_input_nodes)
    return of_values(
        tuple(_aligned(each, axis) for each in operands),
        lambda *values: called(node, dict(zip(operands, values, strict=True))),
    )


def _aligned(node: Node, axis: int) -> Need:
    is_broadcast = len(shape(node)) < -axis or shape(node)[axis] == 1
    return Need(node) if is_broadcast else Need(node, axis)


def _type_as(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    """Everything that is read has one dtype."""
    return of_values((Need(operand(node), axis),), lambda value: value)


def _zeros(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    size = list(shape(node))

    def compute(like: Tensor, places: Places) -> Tensor:
        size[axis] = len(places)
        return like.new_zeros(size)

    return Step((), compute)


def _identity(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    width = shape(node)[0]

    def compute(like: Tensor, places: Places) -> Tensor:
        return _ones(like.new_ones(len(places)), width, axis, places)

    return Step((), compute)


def _diag(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    vector = operand(node)
    if len(shape(vector)) != 1:
        return None
    width = shape(node)[0]
    return Step(
        (Need(vector, -1),),
        lambda like, places, part: _ones(part, width, axis, places),  # noqa: ARG005
    )


def _ones(values: Tensor, width: int, axis: int, places: Places) -> Tensor:
    """Rows or columns of a diagonal matrix."""
    rows = values.new_zeros(len(places), width)
    columns = torch.tensor(tuple(places), dtype=torch.long, device=values.device)
    rows.scatter_(1, columns[:, None], values[:, None])
    return rows if axis == -2 else rows.T


def _matmul(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    """Rows of a product need rows of its left side, columns need columns of the right one."""
    left, right = operand(node), operand(node, 1)
    match len(shape(left)), len(shape(right)):
        case 2, 2 if axis == -2:
            needs = Need(left, -2), Need(right)
        case 2, 1:
            needs = Need(left, -2), Need(right)
        case 1 | 2, 2:
            needs = Need(left), Need(right, -1)
        case _:
            return None
    return of_values(needs, torch.matmul)


def _linear(node: Node, axis: int, numbers: Numbers) -> Step:  # noqa: ARG001
    x, weight, *rest = node.args
    bias = tuple(each for each in rest if isinstance(each, Node))
    x, weight = cast("Node", x), cast("Node", weight)
    if axis == -1:
        needs = (Need(x), Need(weight, -2), *(Need(each, -1) for each in bias))
    else:
        needs = (Need(x, axis), Need(weight), *map(Need, bias))
    return of_values(needs, functional.linear)


def _reduction(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    """Norms, sums and means along another axis."""
    value, dim = operand(node), node.kwargs.get("dim")
    if not isinstance(dim, int):
        return None
    below = axis if axis > from_end(dim, len(shape(value))) else axis - 1
    return of_values((Need(value, below),), lambda part: called(node, {value: part}))


def _softmax(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    value = operand(node)
    if from_end(node.kwargs["dim"], len(shape(node))) == axis:
        return None
    return of_values((Need(value, axis),), lambda part: called(node, {value: part}))


def _kron(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    """Row i is row `i // p` of the left side times row `i % p` of the right one."""
    left, right = operand(node), operand(node, 1)
    if len(shape(left)) != 2 or len(shape(right)) != 2:
        return None
    size = shape(right)[axis]
    outer = Need(left, axis, lambda places: tuple(place // size for place in places))
    inner = Need(right, axis, lambda places: tuple(place % size for place in places))

    def compute(a: Tensor, b: Tensor) -> Tensor:
        if axis == -1:
            return (a[:, None, :] * b[None, :, :]).flatten(0, 1)
        return (a[:, :, None] * b[:, None, :]).flatten(1)

    return of_values((outer, inner), compute)


def _times_blocks(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    needs = Need(operand(node), -2), Need(operand(node, 1))
    return of_values(needs, times_blocks) if axis == -2 else None


def _blocks_times(node: Node, axis: int, numbers: Numbers) -> Step | None:  # noqa: ARG001
    needs = Need(operand(node)), Need(operand(node, 1), -1)
    return of_values(needs, blocks_times) if axis == -1 else None


_ELEMENTWISE: frozenset[object] = frozenset(
    {
        *(torch.add, torch.sub, torch.mul, torch.div, torch.pow, torch.neg, torch.abs),
        *(torch.remainder, torch.floor_divide, torch.minimum, torch.maximum, torch.clamp),
        *(torch.sqrt, torch.exp, torch.log, torch.sin, torch.cos, torch.tanh, torch.sigmoid),
        *(torch.ceil, torch.floor, torch.detach),
        *(functional.relu, functional.gelu, functional.silu),
    }
)
_RULES: Mapping[object, Rule] = {
    **SHAPING,
    **REPEATED,
    torch.Tensor.type_as: _type_as,
    torch.Tensor.new_zeros: _zeros,
    identity_like: _identity,
    torch.diag: _diag,
    torch.matmul: _matmul,
    functional.linear: _linear,
    torch.linalg.vector_norm: _reduction,
    torch.sum: _reduction,
    torch.mean: _reduction,
    functional.softmax: _softmax,
    torch.kron: _kron,
    times_blocks: _times_blocks,
    blocks_times: _blocks_times,
}
