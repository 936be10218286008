"""Placing: the module that carries the patch of a site, and what the patch depends on."""

from collections.abc import Mapping
from dataclasses import dataclass
from inspect import signature
from typing import Literal

from torch import nn
from transformers import PreTrainedModel

from ...dsl.diagnostics.placement import ClosedAttention, NoPorts, NoTokens, OwnForward
from ...dsl.diagnostics.quantize_statement import NotQuantizedYet
from ...dsl.diagnostics.report import SpecError
from ...dsl.syntax.source import Span
from ...runtime.patched import base_class
from ...runtime.quantized.form import lacks_bits
from ..lower import AttentionFacts, BlockFacts, Facts, LeafFacts, LinearFacts, MapFacts, TokenFacts
from ..model import (
    AttentionPorts,
    BlockPorts,
    Projection,
    Site,
    SiteTable,
    TokenPorts,
    linear_width,
)

_PACKED: Mapping[str, Literal[4, 8]] = {"Linear4bit": 4, "Linear8bitLt": 8}
"""The classes of modules that arrive quantized."""
Ports = BlockPorts | AttentionPorts | TokenPorts


@dataclass(frozen=True, slots=True)
class Place:
    """Where a patch stands."""

    home: str
    """The path of the module whose class is patched and whose children the tensors are."""
    facts: Facts
    ports: Ports | None
    """Where the values of the site pass; None for a linear map, which has its own."""


def place(site: Site, table: SiteTable, model: nn.Module, span: Span) -> Place:
    """The place of a site; raises SpecError where its values pass nowhere a patch could be."""
    match site.kind:
        case "block":
            return _block(site, table, span)
        case "attention":
            return _attention(site, model, span)
        case "tokens":
            return _tokens(table, model, span)
        case "norm" | "embedding" | "conv":
            return Place(site.path, _leaf(model.get_submodule(site.path)), None)
        case _:
            if lacks_bits(model.get_submodule(site.path)):
                raise SpecError([NotQuantizedYet(span, site.path)])
            if site.inputs is None:
                raise SpecError([OwnForward(span, site.path, site.class_name)])
            return Place(site.path, linear_facts(site), None)


def linear_facts(site: Site) -> LinearFacts:
    """What the patch of a linear map depends on."""
    assert site.inputs is not None
    assert site.outputs is not None
    transposed = site.class_name == "Conv1D"
    return LinearFacts(
        site.inputs, site.outputs, site.bias, transposed, packed=_PACKED.get(site.class_name)
    )


def _leaf(module: nn.Module) -> LeafFacts:
    own = module.named_parameters(recurse=False)
    return LeafFacts(tuple((name, tuple(parameter.shape)) for name, parameter in own))


def takes(module: nn.Module, name: str) -> bool:
    """Whether a forward has a parameter of this name."""
    return name in signature(base_class(module).forward).parameters


def _block(site: Site, table: SiteTable, span: Span) -> Place:
    ports = site.block
    if ports is None:
        reason = table.reason or "it was not seen to take a tensor and return one"
        raise SpecError([NoPorts(span, "block", site.path, reason)])
    return Place(ports.output.module, BlockFacts(ports.width, ports.norm is not None), ports)


def _attention(site: Site, model: nn.Module, span: Span) -> Place:
    ports = site.attention
    if ports is None:
        raise SpecError([NoPorts(span, "attention", site.path, "its product was not recorded")])
    if ports.channel is None:
        owner = type(model.get_submodule(ports.module)).__name__
        raise SpecError([ClosedAttention(span, ports.module or site.path, owner)])
    found = (_map(name, projection, model) for name, projection in ports.projections)
    maps = tuple(facts for facts in found if facts is not None)
    facts = AttentionFacts(ports.width, ports.heads, ports.kv_heads, ports.head_dim, maps)
    return Place(ports.module, facts, ports)


def _map(name: str, projection: Projection, model: nn.Module) -> MapFacts | None:
    """A projection that formulas may call; None for a class of map that is not known."""
    width = linear_width(model.get_submodule(projection.path))
    return None if width is None else MapFacts(name, *width, projection.rows)


def _tokens(table: SiteTable, model: nn.Module, span: Span) -> Place:
    """At the stem; of a model that is not of transformers at the embedding, where its tokens are
    made longer.
    """
    tokens = table.tokens
    if tokens is None:
        raise SpecError([NoTokens(span, table.model, "it looks no ids up in an embedding")])
    stem = model.get_submodule(tokens.stem)
    is_known = isinstance(stem, PreTrainedModel)
    if is_known and not takes(stem, "inputs_embeds"):
        reason = f"the forward of {base_class(stem).__name__} takes ids alone, no embeddings"
        raise SpecError([NoTokens(span, table.model, reason)])
    if hasattr(base_class(stem), "get_per_layer_inputs"):
        raise SpecError([NoTokens(span, table.model, "its layers read the ids themselves")])
    return Place(tokens.stem if is_known else tokens.embed, TokenFacts(tokens.width), tokens)
