"""Linear maps on a tape: every product of data with a parameter, and what of it was used."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..tape import Node, Tape
from .weight_layout import Axis, axes_of

Ranges = tuple[tuple[int, int], ...]

_FACTORS = {
    "linear": (0, 1),
    "mm": (0, 1),
    "bmm": (0, 1),
    "addmm": (1, 2),
    "baddbmm": (1, 2),
    "convolution": (0, 1),
}
"""The positions of the two factors among the inputs."""


@dataclass(frozen=True, slots=True)
class Map:
    """A linear map: `node` is its result, `data` what it was applied to."""

    node: int
    data: int
    weight: int
    """The node of the weight as it was multiplied, after transposing, slicing or picking experts.
    """
    parameter: str
    scope: str
    axis: int
    """The axis of the result that counts the output features."""
    convolution: bool = False


def find_maps(tape: Tape) -> dict[int, Map]:
    """Every linear map of a tape, by the node of its result."""
    return {found.node: found for node in tape.nodes if (found := _as_map(node, tape)) is not None}


def rows(map: Map, mask: Tensor) -> Tensor:
    """For each application of the map, whether the mask holds any feature of its result."""
    return mask.movedim(map.axis, -1).reshape(-1, mask.shape[map.axis]).any(dim=1)


def features(tape: Tape, map: Map, mask: Tensor) -> Tensor:
    """The output features that a mask of the result holds, counted in the parameter."""
    chosen = mask.movedim(map.axis, -1).reshape(-1, mask.shape[map.axis]).any(dim=0)
    axis = _output_axis(tape, map)
    found = torch.zeros(tape.parameters[map.parameter][output_axis(tape, map)], dtype=torch.bool)
    if axis is None:
        return ~found
    found[torch.arange(axis.part.start, axis.part.stop, axis.part.step)[chosen]] = True
    return found


def output_axis(tape: Tape, map: Map) -> int:
    """The axis of the parameter that counts output features."""
    axis = _output_axis(tape, map)
    return 0 if axis is None else axis.number


def _output_axis(tape: Tape, map: Map) -> Axis | None:
    node = tape.nodes[map.node]
    axes = axes_of(tape, map.weight)
    if node.kind in ("linear", "convolution"):
        return axes[0]
    return axes[-2] if map.axis == len(node.shape) - 2 else axes[-1]


def ranges(mask: Tensor) -> Ranges | None:
    """The [start, stop) runs of a mask; None if it is whole."""
    if bool(mask.all()):
        return None
    edges = torch.diff(mask.int(), prepend=torch.zeros(1).int(), append=torch.zeros(1).int())
    starts = (edges == 1).nonzero().flatten().tolist()
    stops = (edges == -1).nonzero().flatten().tolist()
    return tuple(zip(starts, stops, strict=True))


def _as_map(node: Node, tape: Tape) -> Map | None:
    if node.kind not in _FACTORS or node.result:
        return None
    weights = tape.weights
    left, right = (node.inputs[position] for position in _FACTORS[node.kind])
    if right in weights and left not in weights:
        data, weight = left, right
        axis = 1 if node.kind == "convolution" else len(node.shape) - 1
    elif left in weights and right not in weights:
        data, weight, axis = right, left, len(node.shape) - 2
    else:
        return None
    return Map(
        node.index, data, weight, weights[weight], node.scope, axis, node.kind == "convolution"
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """One role of one map of a tape."""

    node: int
    role: str
    mask: Tensor | None
    """The elements of the map's result that carry the role; None for all of them."""
    group: int
    """The attention product or the join that the role belongs to."""
