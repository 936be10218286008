"""Blocks and attentions as what selectors reach: one site for each sublayer, and what has its maps
straight in a layer.
"""

import pytest
from torch import nn

from pefc.compiler.model.ports import Entry, Exit
from pefc.compiler.model.sites import Site, SiteTable
from pefc.compiler.roles.find_sites import find_sites
from pefc.compiler.select.select import select
from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.source import Source
from pefc.dsl.syntax.statement import Attach

from .. import models
from ..roles.architectures import ARCHITECTURES

ROLES = {"attn": "attn.", "ffn": "ffn.", "linear": ""}


def table_of(name: str) -> SiteTable:
    return find_sites(ARCHITECTURES[name].build("eager"))


def reach(table: SiteTable, clause: str, kind: str) -> tuple[Site, ...]:
    statement = parse(Source("t.peft", f"m {clause}" if clause else "m")).statements[0]
    assert isinstance(statement, Attach)
    return select(statement.selection, kind, table, {}).sites


def paths(table: SiteTable, clause: str, kind: str) -> list[str]:
    return [site.path for site in reach(table, clause, kind)]


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", sorted(ARCHITECTURES.keys() - {"mamba"}))
def test_a_family_means_the_linear_maps_of_its_roles(name: str, role: str) -> None:
    """Whether or not one of them is what the output of a block comes out of."""
    table = table_of(name)
    expected = [
        (site.path, None)
        for site in table.sites
        if site.kind == "linear" and site.layer is not None
        if (site.role or "").startswith(ROLES[role])
    ]
    sites = reach(table, f"on {role}?", "linear")
    assert [(site.path, site.slice) for site in sites] == list(dict.fromkeys(expected))
    assert all(site.kind == "linear" for site in sites)


def test_families_of_maps_straight_in_the_root() -> None:
    table = find_sites(models.plain())
    assert paths(table, "on attn", "linear") == ["a", "b", "c", "d"]
    assert paths(table, "on ffn", "linear") == ["wide", "tall"]
    assert paths(table, "on linear", "linear") == ["a", "b", "c", "d", "wide", "tall"]
    assert paths(table, "on attn, ffn", "any") == ["a", "b", "c", "d", "wide", "tall"]


def _each(path: str, *names: str) -> list[str]:
    return [f"{path}.{layer}.{name}" for layer in range(2) for name in names]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama", _each("model.layers", "self_attn", "mlp")),
        ("gpt2", _each("transformer.h", "attn", "mlp")),
        ("bert", _each("encoder.layer", "attention", "output.dropout")),
        ("vit", _each("vit.layers", "attention", "mlp")),
        (
            "t5",
            _each("encoder.block", "layer.0.SelfAttention", "layer.1.DenseReluDense")
            + _each(
                "decoder.block",
                "layer.0.SelfAttention",
                "layer.1.EncDecAttention",
                "layer.2.DenseReluDense",
            ),
        ),
    ],
)
def test_blocks_are_one_for_each_sublayer(name: str, expected: list[str]) -> None:
    table = table_of(name)
    sites = reach(table, "on attn, ffn, xattn?", "block")
    assert [site.path for site in sites] == expected
    assert all(site.kind == "block" and site.block is not None for site in sites)
    assert reach(table, "all layers", "block") == sites


def test_blocks_of_hand_written_layers() -> None:
    assert paths(find_sites(models.plain()), "on attn, ffn", "block") == ["d", "tall"]
    table = find_sites(models.sdpa())
    assert paths(table, "on attn, ffn", "block") == ["s.0.d", "s.0.g", "s.1.d", "s.1.g"]
    assert paths(table, "on ffn in layers -1", "block") == ["s.1.g"]
    assert paths(table, "on ffn except s.0.g", "block") == ["s.1.g"]


def test_blocks_by_path_and_class_are_their_modules() -> None:
    table = table_of("t5")
    (by_role,) = reach(table, "on attn & encoder.** in layers 0", "block")
    (by_path,) = reach(table, "on encoder.block.0.layer.0.SelfAttention", "block")
    path = "encoder.block.0.layer.0.SelfAttention"
    assert by_role.block is not None
    assert by_path.block is not None
    assert by_role.block.output == Exit("encoder.block.0.layer.0.dropout", None)
    assert by_path.block.output == Exit(path, 0)
    assert by_path.block.input == Entry(path, 0, "hidden_states")
    by_class = reach(table, "on :T5LayerFF", "block")
    assert [site.path for site in by_class] == [
        *(f"encoder.block.{layer}.layer.1" for layer in range(2)),
        *(f"decoder.block.{layer}.layer.2" for layer in range(2)),
    ]
    for site in by_class:
        assert site.block is not None
        assert site.block.output == Exit(site.path, None)


def test_layers_are_blocks_with_ports() -> None:
    for site in reach(table_of("llama"), "on layer", "block"):
        assert site.block is not None
        assert site.block.output == Exit(site.path, None)
        assert site.block.input == Entry(site.path, 0, "hidden_states")


def test_attentions_are_the_modules_that_compute_them() -> None:
    table = table_of("bert")
    modules = ["encoder.layer.0.attention.self", "encoder.layer.1.attention.self"]
    clauses = ("", "on attn", "all layers", "on attention.self", "on attention", "on layer")
    for clause in (*clauses, "on :BertSelfAttention", "on :BertAttention"):
        sites = reach(table, clause, "attention")
        assert [site.path for site in sites] == modules, clause
        assert all(site.kind == "attention" for site in sites)
        assert [site.attention and site.attention.module for site in sites] == modules
        assert {site.class_name for site in sites} == {"BertSelfAttention"}
    backwards = "on encoder.layer.1, encoder.layer.0"
    assert paths(table, backwards, "attention") == modules


def test_attentions_in_layers_and_in_the_root() -> None:
    assert paths(find_sites(models.sdpa()), "", "attention") == ["s.0", "s.1"]
    assert paths(find_sites(models.sdpa()), "on s.1", "attention") == ["s.1"]
    assert paths(find_sites(models.sdpa()), "on s", "attention") == ["s.0", "s.1"]
    assert paths(find_sites(models.plain()), "", "attention") == [""]


def test_every_attention_of_both_stacks() -> None:
    assert len(reach(table_of("t5"), "", "attention")) == 6
    assert len(reach(table_of("t5"), "on xattn", "attention")) == 2
    assert len(reach(table_of("t5"), "on decoder.**", "attention")) == 4


def test_conditions_on_heads() -> None:
    table = table_of("llama")
    few = "on attn where kv_heads < heads and head_dim == 8 and layer == 1"
    assert paths(table, few, "attention") == ["model.layers.1.self_attn"]
    with pytest.raises(SpecError):
        reach(table, "on attn where heads < kv_heads", "attention")


def test_what_ends_with_a_block_is_no_block_by_its_class() -> None:
    class Layer(models.Step):
        pass

    table = find_sites(nn.Sequential(nn.Linear(3, models.WIDTH), nn.Sequential(Layer(), Layer())))
    assert [site.role for site in reach(table, "on ffn", "block")] == ["ffn", "ffn"]
    with pytest.raises(SpecError):
        reach(table, "on :Linear", "block")
