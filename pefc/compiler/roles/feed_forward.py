"""Roles in residual branches without attention: gate, up and down of feed-forward nets and experts,
and routers.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from .dataflow import Finding, Flow, Join, Map, Masks, demand, rows, whole
from .tape import Node

LENGTH = 3
"""How many positions the recorded sequence has."""

_CHOICES = frozenset({"topk", "sort", "argmax"})
_ACTIVATIONS = frozenset(
    "silu gelu relu sigmoid tanh exp erf softplus elu mish hardswish hardsigmoid leaky_relu "
    "selu celu".split()
)


def feeding_roles(flow: Flow, attending: frozenset[int]) -> Iterator[Finding]:
    """The roles of every map in a residual branch, beside those around attention."""
    routers = _routers(flow) - attending
    done = set(attending | routers)
    for join in flow.joins:
        for node in sorted(flow.frontier(join.branch).maps - done):
            done.add(node)
            yield from _net(flow, join, flow.maps[node], attending, routers)
        yield from _routing(flow, join, routers)


def _routers(flow: Flow) -> frozenset[int]:
    """The maps whose results are ranked to choose experts."""
    found: set[int] = set()
    for node in flow.tape.nodes:
        if node.kind in _CHOICES and any(
            flow.tape.reaches(node.index, join.node) for join in flow.joins
        ):
            found |= flow.frontier(node.inputs[0]).maps
    return frozenset(found)


def _routing(flow: Flow, join: Join, routers: frozenset[int]) -> Iterator[Finding]:
    """A router belongs to the first join that it reaches."""
    for node in sorted(routers):
        if join == next(other for other in flow.joins if flow.tape.reaches(node, other.node)):
            yield Finding(node, "moe.router", None, join.node)


def _net(
    flow: Flow, join: Join, down: Map, attending: frozenset[int], routers: frozenset[int]
) -> Iterator[Finding]:
    """A last map, and the maps right before it, if nothing between them mixes positions."""
    before = {node: mask for node, mask in _maps_before(flow, down).items() if node not in routers}
    if not before or before.keys() & attending or not _is_positionwise(flow, before):
        return
    family = "moe" if _is_expert(flow, join, down, routers) else "ffn"
    gate, up = _split_by_gate(flow, down, before)
    yield Finding(down.node, f"{family}.down", None, join.node)
    yield from (Finding(node, f"{family}.gate", mask, join.node) for node, mask in gate.items())
    yield from (Finding(node, f"{family}.up", mask, join.node) for node, mask in up.items())


def _maps_before(flow: Flow, down: Map) -> Masks:
    """The maps that one position of a map's result comes from, with what of them it needs."""
    node = flow.tape.nodes[down.node]
    moved = torch.zeros(node.shape, dtype=torch.bool).movedim(down.axis, -1)
    chosen = moved.reshape(-1, node.shape[down.axis])
    chosen[len(chosen) // 2] = True
    seed = chosen.reshape(moved.shape).movedim(-1, down.axis)
    masks = demand(
        flow.tape, {down.node: seed}, lambda n: n.index != down.node and flow.is_border(n)
    )
    border = {
        index: mask for index, mask in masks.items() if index in flow.maps and index != down.node
    }
    return border if not masks.keys() & flow.contexts else {}


def _is_positionwise(flow: Flow, before: Masks) -> bool:
    for node, mask in before.items():
        needed = rows(flow.maps[node], mask)
        if int(needed.sum()) * LENGTH > len(needed):
            return False
    return True


def _is_expert(flow: Flow, join: Join, down: Map, routers: frozenset[int]) -> bool:
    """Its weight is one of a stack, or its result is weighted by what a router says."""
    if len(flow.tape.parameters[down.parameter]) > 2:
        return True
    for node in flow.tape.nodes[down.node : join.node]:
        if node.kind == "mul" and flow.tape.reaches(down.node, node.index):
            others = [source for source in node.inputs if not flow.tape.reaches(down.node, source)]
            if any(flow.frontier(source).maps & routers for source in others):
                return True
    return False


def _split_by_gate(flow: Flow, down: Map, before: Masks) -> tuple[Masks, Masks]:
    """(gate, up): of two factors from different features, the gate is the one that an activation
    made.
    """
    for product in reversed(flow.tape.nodes[: down.node]):
        if (
            product.kind != "mul"
            or len(product.inputs) != 2
            or not flow.tape.reaches(product.index, down.node)
        ):
            continue
        left, right = (_features(flow, source, before) for source in product.inputs)
        if not left or not right or _overlap(left, right):
            continue
        activated = [_is_activated(flow, source, before) for source in product.inputs]
        if activated == [True, False]:
            return left, right
        if activated == [False, True]:
            return right, left
    return {}, {node: _all_rows(flow, node, mask) for node, mask in before.items()}


def _all_rows(flow: Flow, node: int, mask: Tensor) -> Tensor:
    """What features one position needs, all positions need."""
    for dimension in range(mask.ndim):
        if dimension != flow.maps[node].axis:
            mask = mask.any(dim=dimension, keepdim=True)
    return mask.expand(flow.tape.nodes[node].shape)


def _features(flow: Flow, start: int, before: Masks) -> Masks:
    masks = demand(flow.tape, {start: whole(flow.tape.nodes[start])}, flow.is_border)
    return {node: mask for node, mask in masks.items() if node in before and bool(mask.any())}


def _overlap(left: Masks, right: Masks) -> bool:
    return any(bool((left[node] & right[node]).any()) for node in left.keys() & right.keys())


def _is_activated(flow: Flow, start: int, before: Masks) -> bool:
    """An activation stands between the maps and a factor."""
    return any(
        node.kind in _ACTIVATIONS
        and flow.tape.reaches(node.index, start)
        and _is_after(flow, node, before)
        for node in flow.tape.nodes[: start + 1]
    )


def _is_after(flow: Flow, node: Node, before: Masks) -> bool:
    return any(index < node.index and flow.tape.reaches(index, node.index) for index in before)
