"""A spec in a config means what its text means, and its places lie in the config."""

import json
from pathlib import Path

import pytest

from pefc.dsl import config as embedding
from pefc.dsl.config.locate import parse_value, read
from pefc.dsl.config.schema import schema
from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.selector import Term
from pefc.dsl.syntax.source import Source
from pefc.dsl.syntax.statement import Attach
from pefc.dsl.syntax.walk import walk

TEXT = "lora(r=8, alpha=1.5) on attn.q, attn.v in layers 0..5 as style\ngate(unipelt)\n"
YAML = """
peft:
- lora: {r: 8, alpha: 1.5}
  on: [attn.q, attn.v]
  in: layers 0..5
  as: style
- gate(unipelt)
"""
TOML = """
[[peft]]
lora = {r = 8, alpha = 1.5}
on = ["attn.q", "attn.v"]
in = "0..5"
as = "style"
[[peft]]
gate = "unipelt"
"""
JSON = """
{"peft": [
  {"lora": {"r": 8, "alpha": 1.5}, "on": "attn.q, attn.v", "in": "layers 0..5", "as": "style"},
  "gate(unipelt)"
]}
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.peft", TEXT),
        ("a.yaml", YAML),
        ("a.toml", TOML),
        ("a.json", JSON),
        ("b.json", json.dumps({"peft": TEXT})),
        ("b.yaml", json.dumps(TEXT)),
        ("c.yaml", "peft: |\n" + "".join(f"  {line}\n" for line in TEXT.splitlines())),
    ],
)
def test_all_forms_are_one_tree(name: str, text: str, tmp_path: Path) -> None:
    expected = parse(Source("<text>", TEXT))
    assert read(written(tmp_path, name, text)) == expected
    if name.endswith("json"):
        assert parse_value(json.loads(text)["peft"]) == expected


def test_keys_lead_into_tables(tmp_path: Path) -> None:
    path = written(tmp_path, "a.yaml", "model:\n  adapter: lora on ffn\n")
    assert read(f"{path}#model.adapter") == parse(Source("<text>", "lora on ffn"))


def test_words_of_yaml_are_what_they_look_like(tmp_path: Path) -> None:
    path = written(
        tmp_path, "a.yaml", "peft: [{lora: {alpha: 1e-4, stable: true, on: no}, on: ffn}]"
    )
    assert read(path) == parse(Source("<text>", "lora(alpha=1e-4, stable=true, on=no) on ffn"))


def test_places_lie_in_the_config(tmp_path: Path) -> None:
    spec = read(written(tmp_path, "a.yaml", YAML))
    attach = spec.statements[0]
    assert isinstance(attach, Attach)
    assert attach.use.name_span.text == "lora"
    assert [node.span.text for node in walk(attach) if isinstance(node, Term)] == [
        "attn.q",
        "attn.v",
    ]
    assert attach.span.source.text == YAML


@pytest.mark.parametrize(
    "text", ["[" * 10**5, "{a: " * 10**5, "- " * 10**5, "\0", "a: b: c", "&a [*a]", "1: 2"]
)
@pytest.mark.parametrize("suffix", ["yaml", "toml", "json"])
def test_no_config_is_a_crash(suffix: str, text: str, tmp_path: Path) -> None:
    for whole in (text, f'{{"peft": {text}', f"peft = {text}", f"peft: {text}"):
        with pytest.raises(SpecError) as caught:
            read(written(tmp_path, f"a.{suffix}", whole))
        assert all(mistake.title() and mistake.labels() for mistake in caught.value.diagnostics)


@pytest.mark.parametrize(
    "value", [3, 2.5, True, [3], [[]], {"lora": object()}, [{"let": 3}], [{}], {"task": "a; b"}]
)
def test_no_value_is_a_crash(value: object) -> None:
    with pytest.raises(SpecError):
        parse_value(value)


def test_a_value_cannot_reach_out_of_its_place() -> None:
    for text in (
        "attn.q; gate(unipelt)",
        "attn.q\ngate(unipelt)",
        "attn.q } lora on x",
        "a # b",
        '"a',
    ):
        with pytest.raises(SpecError):
            parse_value([{"lora": None, "on": text}])


def test_the_schema_knows_every_documented_entry() -> None:
    definitions = schema()["$defs"]
    documented = embedding.__doc__ or ""
    for name in ("task", "let", "param", "import", "tune", "recipe", "method"):
        assert f"{{{name}:" in documented
        assert name in definitions
    references = json.dumps(schema()).split('"#/$defs/')[1:]
    assert {part.split('"')[0] for part in references} <= set(definitions)
