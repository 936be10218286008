"""The roles of every linear map of every architecture, under both ways to compute attention."""

import re
from functools import cache

import pytest

from pefc.compiler.model.sites import SiteTable
from pefc.compiler.roles.find_sites import find_sites

from .architectures import ARCHITECTURES, Architecture, Truth

CASES = [
    pytest.param(name, attention, id=f"{name}-{attention}")
    for name, architecture in ARCHITECTURES.items()
    for attention in architecture.attentions
]


@cache
def table_of(name: str, attention: str) -> SiteTable:
    return find_sites(ARCHITECTURES[name].build(attention))


def expected(architecture: Architecture, table: SiteTable) -> Truth:
    """The stated truth of one layer, for every layer that it stands for."""
    truth = dict(architecture.outside)
    for site in table.sites:
        if site.role == "layer":
            for path, roles in _layer_truth(architecture, site.path).items():
                truth[f"{site.path}.{path}"] = roles
    return truth


def _layer_truth(architecture: Architecture, path: str) -> Truth:
    if path in architecture.layers:
        return architecture.layers[path]
    return architecture.layers[re.sub(r"\d+$", "0", path)]


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_every_linear_map_has_its_roles(name: str, attention: str) -> None:
    table = table_of(name, attention)
    found: dict[str, tuple[object, ...]] = {}
    for site in table.sites:
        if site.kind in ("linear", "param"):
            found[site.path] = (*found.get(site.path, ()), (site.role, site.slice))
    assert table.traced, table.reason
    assert found == expected(ARCHITECTURES[name], table)


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_layers_blocks_and_embeddings(name: str, attention: str) -> None:
    architecture, table = ARCHITECTURES[name], table_of(name, attention)
    first = {path for path in architecture.layers if path.endswith(".0")}
    blocks = {
        site.path: site.role
        for site in table.sites
        if site.kind == "block" and site.role not in ("layer", "moe")
        if any(site.path.startswith(f"{layer}.") for layer in first)
    }
    layers = {site.path for site in table.sites if site.role == "layer"}
    assert blocks == architecture.blocks
    assert first <= layers
    assert tuple(s.path for s in table.sites if s.role == "embed") == architecture.embed


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_layers_are_numbered_within_their_stack(name: str, attention: str) -> None:
    table = table_of(name, attention)
    for site in table.sites:
        if site.role == "layer":
            assert site.path.endswith(f".{site.layer}")
    assert table.layers == (3 if name == "bart" else 2)


def test_experts_are_blocks_of_both_families() -> None:
    table = table_of("mixtral", "sdpa")
    roles = [s.role for s in table.sites if s.path == "model.layers.0.mlp" and s.kind == "block"]
    assert roles == ["ffn", "moe"]


def test_every_norm_is_found() -> None:
    table = table_of("qwen3", "sdpa")
    norms = [s.path.rpartition(".")[2] for s in table.sites if s.role == "norm" and s.layer == 0]
    assert sorted(norms) == ["input_layernorm", "k_norm", "post_attention_layernorm", "q_norm"]
