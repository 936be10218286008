"""Linear maps on a tape: every product of data with a parameter, and what of the parameter it used."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .demand import demand
from .tape import Node, Tape

Ranges = tuple[tuple[int, int], ...]

_CARRIERS = frozenset(
    "_to_copy clone alias detach view _unsafe_view reshape permute transpose t expand slice select "
    "split split_with_sizes unbind chunk squeeze unsqueeze index index_select".split()
)
"""What a weight may go through and still be that weight."""
_FACTORS = {"linear": (0, 1), "mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2), "convolution": (0, 1)}
"""The positions of the two factors among the inputs."""


@dataclass(frozen=True, slots=True)
class Map:
    """A linear map: `node` is its result, `data` what it was applied to."""

    node: int
    data: int
    weight: int
    """The node of the weight as it was multiplied, after transposing, slicing or picking experts."""
    parameter: str
    scope: str
    axis: int
    """The axis of the result that counts the output features."""
    convolution: bool = False


def find_maps(tape: Tape) -> dict[int, Map]:
    """Every linear map of a tape, by the node of its result."""
    origins = _weight_origins(tape)
    return {found.node: found for node in tape.nodes if (found := _as_map(node, tape, origins)) is not None}


def rows(map: Map, mask: Tensor) -> Tensor:
    """For each application of the map, whether the mask holds any feature of its result."""
    return mask.movedim(map.axis, -1).reshape(-1, mask.shape[map.axis]).any(dim=1)


def features(tape: Tape, map: Map, mask: Tensor) -> Tensor:
    """The output features that a mask of the result holds, counted in the parameter."""
    chosen = mask.movedim(map.axis, -1).reshape(-1, mask.shape[map.axis]).any(dim=0)
    mask = _parameter_mask(tape, map, chosen)
    return _along(mask, output_axis(tape, map))


def output_axis(tape: Tape, map: Map) -> int:
    """The axis of the parameter that counts output features: the one that a single feature does not fill."""
    single = torch.zeros(tape.nodes[map.node].shape[map.axis], dtype=torch.bool)
    single[0] = True
    mask = _parameter_mask(tape, map, single)
    partial = [axis for axis in range(mask.ndim) if not bool(_along(mask, axis).all())]
    return partial[-1] if partial else 0


def ranges(mask: Tensor) -> Ranges | None:
    """The [start, stop) runs of a mask; None if it is whole."""
    if bool(mask.all()):
        return None
    edges = torch.diff(mask.int(), prepend=torch.zeros(1).int(), append=torch.zeros(1).int())
    starts = (edges == 1).nonzero().flatten().tolist()
    stops = (edges == -1).nonzero().flatten().tolist()
    return tuple(zip(starts, stops, strict=True))


def _along(mask: Tensor, axis: int) -> Tensor:
    others = tuple(d for d in range(mask.ndim) if d != axis)
    return mask.any(dim=others) if others else mask


def _parameter_mask(tape: Tape, map: Map, chosen: Tensor) -> Tensor:
    weight = tape.nodes[map.weight]
    shape = [1] * len(weight.shape)
    shape[_weight_axis(tape, map)] = len(chosen)
    seed = chosen.reshape(shape).expand(weight.shape)
    masks = demand(tape, {map.weight: seed}, lambda node: node.kind == "parameter")
    source = next(index for index in masks if tape.nodes[index].name == map.parameter)
    return masks[source]


def _weight_axis(tape: Tape, map: Map) -> int:
    """The axis of the multiplied weight that counts output features."""
    node = tape.nodes[map.node]
    if node.kind in ("linear", "convolution"):
        return 0
    return -2 if map.axis == len(node.shape) - 2 else -1


def _weight_origins(tape: Tape) -> dict[int, str]:
    """For every node that is a parameter seen through rearrangements, the parameter."""
    origins: dict[int, str] = {}
    for node in tape.nodes:
        if node.kind == "parameter" and node.name is not None and len(node.shape) > 1:
            origins[node.index] = node.name
        elif node.kind in _CARRIERS and node.inputs and node.inputs[0] in origins:
            origins[node.index] = origins[node.inputs[0]]
    return origins


def _as_map(node: Node, tape: Tape, origins: dict[int, str]) -> Map | None:
    if node.kind not in _FACTORS or node.result:
        return None
    left, right = (node.inputs[position] for position in _FACTORS[node.kind])
    if right in origins and left not in origins:
        data, weight = left, right
        axis = 1 if node.kind == "convolution" else len(node.shape) - 1
    elif left in origins and right not in origins:
        data, weight, axis = right, left, len(node.shape) - 2
    else:
        return None
    return Map(node.index, data, weight, origins[weight], node.scope, axis, node.kind == "convolution")


