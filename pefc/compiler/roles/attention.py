"""Roles around an attention product: q, k, v are the maps whose features reach its operands, o what
takes its result.
"""

from collections.abc import Iterator

from torch import Tensor

from .dataflow import Attention, Finding, Flow, demand, whole
from .tape import Tape, common_scope, is_inside


def attention_roles(flow: Flow) -> Iterator[Finding]:
    """The roles of every map around every attention product."""
    families = {attention.context: _family(flow, attention) for attention in flow.attentions}
    inputs: set[int] = set()
    for attention in flow.attentions:
        for node, role, mask in _operand_roles(flow, attention):
            inputs.add(node)
            yield Finding(node, f"{families[attention.context]}.{role}", mask, attention.context)
    for map in flow.maps.values():
        if map.node in inputs:
            continue
        for context in sorted(flow.frontier(map.data).contexts):
            yield Finding(map.node, f"{families[context]}.o", None, context)


def _operand_roles(flow: Flow, attention: Attention) -> Iterator[tuple[int, str, Tensor]]:
    operands = {"q": attention.query, "k": attention.key, "v": attention.value}
    reached = {role: _reaching(flow, node) for role, node in operands.items()}
    scopes = [flow.maps[node].scope for masks in reached.values() for node in masks]
    inside = common_scope([attention.scope, *scopes])
    for role, masks in reached.items():
        yield from ((node, role, mask) for node, mask in _with_latents(flow, masks, inside).items())


def _reaching(flow: Flow, start: int) -> dict[int, Tensor]:
    """The maps whose results reach a node, with what of them does."""
    masks = demand(flow.tape, {start: whole(flow.tape.nodes[start])}, flow.is_border)
    return {node: mask for node, mask in masks.items() if node in flow.maps and bool(mask.any())}


def _with_latents(flow: Flow, masks: dict[int, Tensor], inside: str) -> dict[int, Tensor]:
    """The maps before these in the same attention carry the role too: the latents of low-rank
    projections.
    """
    found = dict(masks)
    pending = list(masks)
    while pending:
        data = flow.maps[pending.pop()].data
        if data in flow.stream:
            continue
        for node, mask in _reaching(flow, data).items():
            if not is_inside(flow.maps[node].scope, inside):
                continue
            if node not in found:
                pending.append(node)
            found[node] = found[node] | mask if node in found else mask
    return found


def _family(flow: Flow, attention: Attention) -> str:
    """Attention over another sequence than that of the queries is cross-attention."""
    queries, keys = _sources(flow, attention.query), _sources(flow, attention.key)
    return "xattn" if keys and not keys & queries else "attn"


def _sources(flow: Flow, start: int) -> frozenset[int]:
    """The places of the stream, and the model's inputs, that a node comes from."""
    pending, seen = [start], {start}
    while pending:
        index = pending.pop()
        if index in flow.stream:
            continue
        fresh = [source for source in flow.tape.nodes[index].inputs if source not in seen]
        seen.update(fresh)
        pending.extend(fresh)
    return frozenset(index for index in seen if index in flow.stream or _is_data(flow.tape, index))


def _is_data(tape: Tape, index: int) -> bool:
    return tape.nodes[index].kind == "input"
