"""Products of attention: the modules that compute them, and how."""

from collections.abc import Mapping, Sequence

from torch import nn

from ..model import AttentionPorts, BlockPorts, Channel, Projection, module_kind
from .dataflow import Attention, Finding, Flow, features, ranges
from .sublayers import first_map, input_entry
from .tape import Passing, Product, Tape


def find_attention_ports(
    flow: Flow,
    passing: Passing,
    layers: frozenset[str],
    findings: Sequence[Finding],
    modules: Mapping[str, nn.Module],
    blocks: Mapping[int, BlockPorts],
) -> dict[int, AttentionPorts]:
    """The ports of every attention product, by the node of its result."""
    found: dict[int, AttentionPorts] = {}
    for attention in flow.attentions:
        members = [finding for finding in findings if finding.group == attention.context]
        data = first_map(flow, members)
        block = blocks.get(attention.context)
        frame = passing.around(attention.context, layers)
        shape = () if data is None else flow.tape.nodes[data].shape
        product = _product(flow.tape, attention)
        query, key = _shapes(flow, attention, product)
        module = attention.scope if product is None else product.module
        heads = query[1] if len(query) == 4 else 1
        found[attention.context] = AttentionPorts(
            module,
            _channel(flow, attention, product, modules[module]),
            shape[-1] if shape else heads * query[-1],
            heads,
            key[1] if len(key) == 4 else 1,
            query[-1],
            input_entry(flow, frame, members, None) if block is None else block.input,
            tuple(_projections(flow, members, modules)),
        )
    return found


def _product(tape: Tape, attention: Attention) -> Product | None:
    """The run of a function out of the registry that made the result."""
    return next((p for p in tape.products if p.start <= attention.context < p.stop), None)


def _shapes(
    flow: Flow, attention: Attention, product: Product | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The shapes of queries and keys, by heads where there are four axes.

    A product that is written out has its heads among the examples of a batch, of which there is one
    here; its keys are transposed.
    """
    if product is not None:
        return product.query, product.key
    query, key = (flow.tape.nodes[node].shape for node in (attention.query, attention.key))
    if flow.tape.nodes[attention.context].kind != "attention" and len(query) == 3:
        return (1, *query), (1, *key)
    return query, key


def _channel(
    flow: Flow, attention: Attention, product: Product | None, module: nn.Module
) -> Channel | None:
    """A module that computes several products in one run says not which of them passes."""
    tape = flow.tape
    path = attention.scope if product is None else product.module
    call = next((c for c in tape.calls if c.path == path and c.made(attention.context)), None)
    if call is None:
        return None
    inside = [other for other in flow.attentions if call.made(other.context)]
    if len([other for other in inside if other.scope == attention.scope]) > 1:
        return None
    if product is not None:
        return "interface"
    is_known = isinstance(module, nn.MultiheadAttention)
    is_seen = tape.nodes[attention.context].kind == "attention"
    by_heads = len(tape.nodes[attention.query].shape) == len(("batch", "heads", "tokens", "dim"))
    return "product" if by_heads and (is_seen or is_known) else None


def _projections(
    flow: Flow, members: Sequence[Finding], modules: Mapping[str, nn.Module]
) -> Sequence[tuple[str, Projection]]:
    found: list[tuple[str, Projection]] = []
    for role in "qkvo":
        alone = [finding for finding in members if finding.role.endswith(f".{role}")]
        if len(alone) != 1:
            continue
        map, mask = flow.maps[alone[0].node], alone[0].mask
        if module_kind(modules[map.scope]) == "linear":
            rows = None if mask is None else ranges(features(flow.tape, map, mask))
            found.append((role, Projection(map.scope, rows)))
    return found
