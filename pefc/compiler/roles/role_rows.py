"""Rows: the roles of one traced model, by module path."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torch import nn

from ..model import AttentionPorts, BlockPorts, SiteKind, TokenPorts, module_kind
from .attention import attention_roles
from .attention_ports import find_attention_ports
from .dataflow import Finding, Flow, Ranges, features, find_flow, output_axis, ranges
from .embeddings_heads import find_embeddings, find_heads, find_norms
from .feed_forward import feeding_roles
from .layers import Layer, find_blocks, find_layers
from .sublayers import find_block_ports
from .tape import Passing, Tape, call_ports
from .token_ports import find_token_ports


@dataclass(frozen=True, slots=True)
class Row:
    """A role of a module, or of a parameter, of the traced model."""

    path: str
    kind: SiteKind
    role: str | None
    slice: Ranges | None = None
    widths: tuple[int, int] | None = None
    """(inputs, outputs) of a parameter."""
    block: BlockPorts | None = None
    attention: AttentionPorts | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """What a trace says of a model."""

    rows: tuple[Row, ...]
    layers: tuple[Layer, ...]
    called: frozenset[str]
    """The modules whose own forward did something."""
    tokens: TokenPorts | None = None
    calls: Mapping[str, BlockPorts] = field(default_factory=dict)
    """The ports of every module of modules, by its path."""


def read_roles(tape: Tape, model: nn.Module) -> Roles:
    """Name the sites of a recorded model."""
    flow = find_flow(tape)
    findings = list(attention_roles(flow))
    findings += feeding_roles(flow, frozenset(finding.node for finding in findings))
    layers = find_layers(flow, findings)
    paths = tuple(layer.path for layer in layers)
    heads = find_heads(flow, paths, named_outputs=hasattr(model, "config"))
    modules = dict(model.named_modules())
    passing = Passing(tape)
    calls = call_ports(tape, modules)
    rows = [
        *_map_rows(flow, findings, heads, modules),
        *_block_rows(flow, passing, findings, layers, modules),
        *(Row(path, "block", "layer", block=calls.get(path)) for path in paths),
        *_leaf_rows(tape, modules),
    ]
    called = frozenset(node.scope for node in tape.nodes)
    tokens = find_token_ports(tape, frozenset(paths), modules)
    return Roles(tuple(dict.fromkeys(rows)), layers, called, tokens, calls)


def _block_rows(
    flow: Flow,
    passing: Passing,
    findings: Sequence[Finding],
    layers: Sequence[Layer],
    modules: Mapping[str, nn.Module],
) -> Iterator[Row]:
    paths = frozenset(layer.path for layer in layers)
    blocks = find_block_ports(flow, passing, paths, findings)
    attentions = find_attention_ports(flow, passing, paths, findings, modules, blocks)
    exits = {group: ports.output.module for group, ports in blocks.items()}
    for path, role, group in find_blocks(flow, findings, layers, exits):
        yield Row(path, "block", role, block=blocks.get(group), attention=attentions.get(group))


def _map_rows(
    flow: Flow, findings: Sequence[Finding], heads: frozenset[int], modules: dict[str, nn.Module]
) -> Iterator[Row]:
    for finding in findings:
        yield _row(flow, finding, modules)
    for node in sorted(heads - {finding.node for finding in findings}):
        yield _row(flow, Finding(node, "head", None, node), modules)


def _row(flow: Flow, finding: Finding, modules: dict[str, nn.Module]) -> Row:
    map = flow.maps[finding.node]
    parts = None if finding.mask is None else ranges(features(flow.tape, map, finding.mask))
    kind = module_kind(modules[map.scope])
    if kind in ("linear", "conv"):
        return Row(map.scope, kind, finding.role, parts)
    shape, axis = flow.tape.parameters[map.parameter], output_axis(flow.tape, map)
    inputs = shape[-1] if axis % len(shape) != len(shape) - 1 else shape[-2]
    return Row(map.parameter, "param", finding.role, parts, (inputs, shape[axis]))


def _leaf_rows(tape: Tape, modules: dict[str, nn.Module]) -> Iterator[Row]:
    for path, is_token in find_embeddings(tape):
        if is_token and module_kind(modules[path]) == "embedding":
            yield Row(path, "embedding", "embed")
    leaves = frozenset(
        path for path, module in modules.items() if next(module.children(), None) is None
    )
    for path in sorted(find_norms(tape, leaves)):
        if module_kind(modules[path]) in ("norm", None):
            yield Row(path, "norm", "norm")
