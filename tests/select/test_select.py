"""Selectors against tables of sites: what is reached, what is accounted for, what is a mistake."""

from functools import cache

import pytest

from pefc.compiler.model.sites import SiteTable
from pefc.compiler.roles.find_sites import find_sites
from pefc.compiler.select.globs import alternatives, matches
from pefc.compiler.select.select import Selected, select
from pefc.dsl.diagnostics.report import Diagnostic, SpecError
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.source import Source
from pefc.dsl.syntax.statement import Attach

from ..roles.architectures import ARCHITECTURES


@cache
def table(name: str) -> SiteTable:
    return find_sites(ARCHITECTURES[name].build("eager"))


def reach(name: str, clause: str, kind: str = "linear") -> Selected:
    statement = parse(Source("t.peft", f"lora {clause}" if clause else "lora")).statements[0]
    assert isinstance(statement, Attach)
    return select(statement.selection, kind, table(name), {"first": 0})


def found(name: str, clause: str, kind: str = "linear") -> list[tuple[str, object]]:
    return [(site.path.split(".", 2)[2], site.slice) for site in reach(name, clause, kind).sites]


def mistakes(name: str, clause: str, kind: str = "linear") -> list[Diagnostic]:
    with pytest.raises(SpecError) as caught:
        reach(name, clause, kind)
    return list(caught.value.diagnostics)


def codes(name: str, clause: str, kind: str = "linear") -> list[str]:
    return [diagnostic.code() for diagnostic in mistakes(name, clause, kind)]


def test_globs_match_at_the_end_and_at_borders() -> None:
    assert matches("mlp.*", "model.layers.0.mlp.up_proj")
    assert not matches("mlp.*", "model.layers.0.mlp")
    assert not matches("lp.*", "model.layers.0.mlp.up_proj")
    assert matches("layers.0.**", "model.layers.0.mlp.up_proj")
    assert matches("layers.**.up_proj", "model.layers.0.mlp.up_proj")
    assert not matches("layers.*.up_proj", "model.layers.0.mlp.up_proj")
    assert matches("*_proj", "model.layers.0.mlp.up_proj")
    assert alternatives("a.{q,v}.{x, y}") == ("a.q.x", "a.q.y", "a.v.x", "a.v.y")


def test_roles_of_fused_maps_are_slices() -> None:
    assert found("gpt2", "on attn.{q,v} in layers 0") == [
        ("0.attn.c_attn", ((0, 32),)),
        ("0.attn.c_attn", ((64, 96),)),
    ]


def test_paths_and_classes_mean_whole_modules() -> None:
    assert found("gpt2", 'on "attn.c_attn" in layers 1') == [("1.attn.c_attn", None)]
    assert len(found("gpt2", "on :Conv1D")) == 8
    assert found("gpt2", "on h.0.mlp") == [("0.mlp.c_fc", None), ("0.mlp.c_proj", None)]


def test_families_mean_what_is_inside_the_block() -> None:
    inside = [("0.attn.c_attn", None), ("0.attn.c_proj", None)]
    assert found("gpt2", "on attn in layers 0") == inside
    assert found("gpt2", "on attn in layers 0", "block") == [("0.attn", None)]
    assert found("gpt2", "on attn in layers 0", "attention") == [("0.attn", None)]
    paths = [site.path for site in reach("bert", "on ffn in layers 0").sites]
    assert paths == ["encoder.layer.0.intermediate.dense", "encoder.layer.0.output.dense"]


def test_set_operations_count_features() -> None:
    assert found("gpt2", "on (:Conv1D & attn.q) in layers 0") == [("0.attn.c_attn", ((0, 32),))]
    rest = [("0.attn.c_attn", ((0, 32), (64, 96))), ("0.attn.c_proj", None)]
    assert found("gpt2", "on attn except attn.k in layers 0") == rest
    assert found("gpt2", "on attn.q, attn in layers 0")[0] == ("0.attn.c_attn", None)


def test_all_layers_and_linear_leave_heads_out() -> None:
    every = reach("bert-mlm", "all layers").sites
    assert (
        every
        == reach("bert-mlm", "on linear").sites
        == select(None, "linear", table("bert-mlm"), {}).sites
    )
    assert len(every) == 12
    assert reach("bert-mlm", "on linear except head").sites == every


def test_layers_count_from_both_ends() -> None:
    layers = [site.layer for site in reach("gpt2", "on attn.o in layers -1").sites]
    assert layers == [1]
    assert [s.layer for s in reach("gpt2", "on attn.o in layers first..-1").sites] == [0, 1]


def test_stacks_have_their_own_ends() -> None:
    paths = [site.path for site in reach("bart", "on ffn.up in layers -1").sites]
    assert paths == ["model.encoder.layers.1.fc1", "model.decoder.layers.2.fc1"]


def test_conditions() -> None:
    wide = reach("bert", "on :Linear where out > 32 and layer == 0").sites
    assert [site.path for site in wide] == ["encoder.layer.0.intermediate.dense"]


def test_other_kinds() -> None:
    assert [s.path for s in reach("gpt2", "on embed", "embedding").sites] == ["transformer.wte"]
    assert {s.kind for s in reach("gpt2", "on layer", "any").sites} == {"norm", "linear"}
    assert reach("gpt2", "", "tokens").sites[0].kind == "tokens"
    slices = [site.slice for site in reach("mixtral", "on moe.up", "param").sites]
    assert slices == [((64, 128),)] * 2


def test_every_term_is_counted() -> None:
    terms = reach("gpt2", "on attn.q, ffn.gate?, mlp.* in layers 0").terms
    assert [(t.text, t.matched) for t in terms] == [("attn.q", 1), ("ffn.gate?", 0), ("mlp.*", 2)]


@pytest.mark.parametrize(
    ("clause", "code"),
    [
        ("on attn.qery", "unmatched-selector"),
        ("on attn.q, nothing.here", "unmatched-selector"),
        ("on ffn.{up,gate}", "unmatched-selector"),
        ("on :LlamaMLP", "unmatched-selector"),
        ("on xattn.q", "unmatched-selector"),
        ("on head in layers 0", "other-layers"),
        ("on norm", "no-such-site"),
        ("on attn.q in layers 2", "layer-out-of-range"),
        ("on attn.q in layers -3..-1", "layer-out-of-range"),
        ("on attn.q & ffn.up", "empty-selection"),
        ("on attn.q except attn", "empty-selection"),
        ("on attn.q where out > 1000", "empty-selection"),
        ("on attn.q where heads > 1", "missing-fact"),
    ],
)
def test_mistakes(clause: str, code: str) -> None:
    assert codes("gpt2", clause) == [code]


def test_all_mistakes_come_at_once() -> None:
    assert codes("gpt2", "on attn.qq, ffn.dwn, attn.q") == ["unmatched-selector"] * 2


def test_mistakes_name_what_is_near() -> None:
    (diagnostic,) = mistakes("gpt2", "on attn.qery")
    assert diagnostic.help() == "did you mean `attn.q`?"
    assert diagnostic.notes() == ("`attn` has the roles q, k, v, o here",)
    (diagnostic,) = mistakes("gpt2", "on mlp.c_fcc")
    assert diagnostic.help() == "did you mean `mlp.c_fc`?"


def test_what_may_match_nothing_reaches_nothing() -> None:
    assert reach("gpt2", "on xattn.q?").sites == ()


def test_a_term_in_other_layers_than_allowed() -> None:
    (diagnostic,) = mistakes("deepseek-v3", "on moe.router in layers 0", "param")
    assert diagnostic.notes() == ("`moe.router` is in layer 1",)
