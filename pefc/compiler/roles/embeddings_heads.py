"""Where a model begins and ends: token embeddings and heads, and the norms in between."""

from collections.abc import Iterator

from .dataflow import Flow
from .tape import Node, Tape, is_inside

_CASTS = frozenset("_to_copy clone alias detach view _unsafe_view reshape slice expand".split())
NORMS = frozenset(
    "native_layer_norm rsqrt native_group_norm native_batch_norm "
    "_native_batch_norm_legit_no_training "
    "_fused_rms_norm linalg_vector_norm cudnn_batch_norm".split()
)
"""What divides something by its own size."""


def find_embeddings(tape: Tape) -> Iterator[tuple[str, bool]]:
    """(path, looks up the model's own input) of every module that looked something up."""
    for node in tape.nodes:
        if node.kind == "embedding":
            yield node.scope, _origin(tape, node.inputs[1]).kind == "input"


def lookups(tape: Tape) -> Iterator[tuple[Node, int]]:
    """Every place where an input of the model itself is looked up, with that input."""
    for node in tape.nodes:
        if node.kind == "embedding" and (origin := _origin(tape, node.inputs[1])).kind == "input":
            yield node, origin.index


def _origin(tape: Tape, index: int) -> Node:
    node = tape.nodes[index]
    while node.kind in _CASTS and node.inputs:
        node = tape.nodes[node.inputs[0]]
    return node


def find_norms(tape: Tape, scopes: frozenset[str]) -> frozenset[str]:
    """The modules, of those given, in which something is divided by its own size."""
    return frozenset(node.scope for node in tape.nodes if node.kind in NORMS) & scopes


def find_heads(flow: Flow, layers: tuple[str, ...], *, named_outputs: bool) -> frozenset[int]:
    """The last maps before the logits, outside of the layers."""
    found: set[int] = set()
    for node in _logits(flow.tape, named_outputs=named_outputs):
        found |= flow.frontier(node.index).maps
    return frozenset(
        index
        for index in found
        if _is_late(flow, index)
        and not any(is_inside(flow.maps[index].scope, layer) for layer in layers)
    )


def _logits(tape: Tape, *, named_outputs: bool) -> Iterator[Node]:
    """Where outputs have names, those called logits; else every tensor that comes out."""
    for name, index in tape.outputs:
        if not named_outputs or "logits" in name:
            yield tape.nodes[index]


def _is_late(flow: Flow, index: int) -> bool:
    """A head comes after some residual branch, in a model that has any."""
    return not flow.joins or any(flow.tape.reaches(join.node, index) for join in flow.joins)
