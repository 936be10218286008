"""Attention products: where a tape mixes positions by a softmax over the products of queries and
keys.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from ..tape import Node, Tape
from .linear_maps import Map

_PRODUCTS = frozenset({"bmm", "mm", "baddbmm"})
_FUSED = frozenset(
    "attention _scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_flash_attention "
    "_scaled_dot_product_efficient_attention _scaled_dot_product_cudnn_attention "
    "_scaled_dot_product_fused_attention_overrideable _flash_attention_forward".split()
)
"""Attention in one operation: as it is recorded, and what it becomes inside other composites."""
_SOFTMAX = frozenset({"_softmax", "_safe_softmax", "softmax"})
_QUIET = frozenset(
    "view _unsafe_view reshape _to_copy clone expand unsqueeze squeeze slice transpose permute cat "
    "masked_fill where dropout native_dropout alias detach copy".split()
)
"""Besides the pointwise operations, what may stand between the products and the softmax."""


@dataclass(frozen=True, slots=True)
class Attention:
    """The nodes of an attention product's operands and of its result."""

    query: int
    key: int
    value: int
    context: int
    scope: str


def find_attentions(tape: Tape, maps: Mapping[int, Map]) -> tuple[Attention, ...]:
    """Every attention product, fused or written out."""
    users = _users(tape)
    found = []
    for node in tape.nodes:
        if node.kind in _FUSED and node.result == 0:
            query, key, value = node.inputs[:3]
            found.append(Attention(query, key, value, node.index, node.scope))
        elif (
            node.kind in _SOFTMAX and (written := _written_out(tape, node, maps, users)) is not None
        ):
            found.append(written)
    return tuple(found)


def _written_out(
    tape: Tape, softmax: Node, maps: Mapping[int, Map], users: Mapping[int, tuple[int, ...]]
) -> Attention | None:
    scores = next(_products(tape, softmax.inputs[0], maps, lambda node: node.inputs), None)
    context = next(_products(tape, softmax.index, maps, lambda node: users[node.index]), None)
    if scores is None or context is None:
        return None
    query, key = scores.inputs[-2:]
    left, right = context.inputs[-2:]
    value = right if tape.reaches(softmax.index, left) else left
    return Attention(query, key, value, context.index, context.scope)


def _products(
    tape: Tape, start: int, maps: Mapping[int, Map], step: Callable[[Node], tuple[int, ...]]
) -> Iterator[Node]:
    """The products of two activations next to a node, in one direction, with nothing but quiet
    operations between.
    """
    pending, seen = [start], {start}
    while pending:
        node = tape.nodes[pending.pop()]
        if node.kind in _PRODUCTS and node.index not in maps:
            yield node
        elif node.index == start or _is_quiet(node):
            fresh = [index for index in step(node) if index not in seen]
            seen.update(fresh)
            pending.extend(fresh)


def _is_quiet(node: Node) -> bool:
    if node.kind in _QUIET:
        return True
    return not isinstance(node.operation, str) and torch.Tag.pointwise in node.operation.tags


def _users(tape: Tape) -> dict[int, tuple[int, ...]]:
    users: dict[int, list[int]] = {node.index: [] for node in tape.nodes}
    for node in tape.nodes:
        for source in node.inputs:
            users[source].append(node.index)
    return {index: tuple(found) for index, found in users.items()}
