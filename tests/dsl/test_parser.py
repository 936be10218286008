"""The parser: tables, places, recovery, hostile texts and speed."""

import copy
from pathlib import Path

import pytest

from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.format.page import format
from pefc.dsl.parsing.actions import ACTIONS
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.method import Method
from pefc.dsl.syntax.selector import Term
from pefc.dsl.syntax.source import Source
from pefc.dsl.syntax.statement import Attach, Spec
from pefc.dsl.syntax.walk import walk
from pefc.grammar import build, tables
from tests.work import at_most, calls

STATEMENTS = 300
CALLS = 10**7
"""Of functions, for a hostile text."""
CALLS_A_STATEMENT = 1_000


def read(text: str) -> Spec:
    return parse(Source("<test>", text))


def codes(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        read(text)
    return [mistake.code() for mistake in caught.value.diagnostics]


def test_tables_are_those_of_the_grammar() -> None:
    text = build.build(build.GRAMMAR.read_text(encoding="utf-8"))
    assert text == build.TABLES.read_text(encoding="utf-8"), "run `python -m pefc.grammar.build`"


def test_every_rule_has_its_function() -> None:
    assert {rule.action for rule in tables.load().rules} - {None, "_"} == set(ACTIONS)


def test_all_definitions_of_the_catalogue_are_read() -> None:
    path = Path(__file__).parents[1] / "golden" / "format" / "definitions.peft"
    spec = read(path.read_text(encoding="utf-8"))
    assert len([node for node in spec.statements if isinstance(node, Method)]) >= 57


def test_spans_are_exact() -> None:
    spec = read("let r = 8\n\ngate(unipelt); lora(r=r) on attn.q, ffn?   as style # note")
    attach = spec.statements[2]
    assert isinstance(attach, Attach)
    assert attach.span.text == "lora(r=r) on attn.q, ffn?   as style"
    assert str(attach.span) == "<test>:3:16"
    assert attach.use.name_span.text == "lora"
    assert attach.selection is not None
    assert attach.selection.span.text == "on attn.q, ffn?"
    assert [n.span.text for n in walk(spec) if isinstance(n, Term)] == ["attn.q", "ffn?"]
    assert [comment.span.text for comment in spec.comments] == ["# note"]


@pytest.mark.parametrize("ending", ["\r\n", "\n", ";", " ;\n;; "])
def test_line_endings_mean_the_same(ending: str) -> None:
    lines = ["\ufefflet r = 8", "lora(r=r) on attn.q", "gate(unipelt)"]
    assert read(ending.join(lines)) == read("\n".join(lines))


@pytest.mark.parametrize(
    "text",
    [
        "lora(r=8 on attn.q",
        "lora(r=8) 0n attn.q",
        "task a { lora on }",
        "gate(x) { lora on a } lora on b",
        "lora(\n  r=8,\n  alpha==,\n) on attn.q",
        "method m(r: int = ) on linear { A: [r] = 0; output += A }",
        "method m on linear {\n  let b = 1 +\n  }",
        "method m on linear { if r > { output = 1 } else { output = 2 } }",
        "lora on attn.{q, v",
        "}",
        "lora on a }",
        "lora(r=8)) on a",
        'import "x',
        "a on b, c d e f g, h\n",
        "recipe both(r) lora on a {\n  lora on b\n}",
        "lora on a in layers 0..5 in layers 3",
        "lora $$$ on a",
    ],
)
def test_a_mistake_is_told_once(text: str) -> None:
    assert len(codes(text)) == 1
    after = f"{text}\nlett r = 8\n"
    if "{" not in text or "}" in text:
        assert len(codes(after)) == 2, codes(after)


HOSTILE = {
    "parentheses": "(" * 10**6,
    "brackets": "[" * 10**6,
    "minus": "-" * 10**6,
    "value-parentheses": "let r = " + "(" * 10**6,
    "value-brackets": "let r = " + "[" * 10**6,
    "value-minus": "let r = " + "-" * 10**6,
    "not": "let r = " + "not " * 250_000,
    "sum": "let r = 1" + "+1" * 500_000,
    "power": "let r = 2" + " ** 2" * 200_000,
    "calls": "let r = a" + "()" * 500_000,
    "attributes": "let r = a" + ".b" * 500_000,
    "conditionals": "let r = " + "a if b else " * 100_000,
    "intersections": "lora on a" + " & a" * 250_000,
    "groups": "lora on " + "(" * 10**6,
    "blocks": "task a { " * 100_000,
    "ifs": "method m on linear { " + "if a { " * 100_000,
    "nul": "\0" * 10**6,
    "closing": "}" * 10**6,
    "closing-lines": ")\n" * 500_000,
    "quotes": '"' * 10**6,
    "escapes": '"\\' * 500_000,
    "opening-calls": "a(\n" * 300_000,
    "opening-patterns": "lora on {" + "a{" * 400_000,
    "digits": "let r = " + "9" * 10**5,
    "exponent": "let r = 1e999999",
    "mistakes": "let x = 1 1 1 1\n" * 60_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_mistakes_soon(name: str) -> None:
    with at_most(CALLS), pytest.raises(SpecError) as caught:
        read(HOSTILE[name])
    for mistake in caught.value.diagnostics:
        assert mistake.title()
        assert mistake.labels()[0].span is not None


@pytest.mark.parametrize("text", ["\n" * 10**6, ";" * 10**6, " " * 10**6, "#" * 10**6, ""])
def test_empty_texts_are_empty_specs(text: str) -> None:
    assert read(text).statements == ()


def test_the_deepest_tree_can_be_walked() -> None:
    deep = "let r = " + "f(-" * 30 + "1" + ")" * 30 + " ** a" * 8
    spec, same = read(deep), read(deep)
    assert spec == same
    assert len(list(walk(spec))) > 90
    assert read(format(spec)) == spec
    assert repr(spec)
    assert copy.deepcopy(spec) == spec


def test_the_cost_of_reading_and_printing_is_linear() -> None:
    line = "lora(r=8, alpha=16) on attn.q, ffn.up in layers 0..5 as a{}"
    few, more, many = (
        "".join(f"{line.format(number + STATEMENTS)}\n" for number in range(count))
        for count in (STATEMENTS, 2 * STATEMENTS, 3 * STATEMENTS)
    )
    read(few)
    for work in (read, lambda text: format(read(text))):
        first, second = calls(work, more) - calls(work, few), calls(work, many) - calls(work, more)
        assert second == pytest.approx(first, rel=0.01)
    assert calls(read, few) < CALLS_A_STATEMENT * STATEMENTS
    assert format(read(few)) == few


@pytest.mark.parametrize(
    "text",
    [
        'recipe a() { "beh\\ind"\n lora on attn.q }\na',
        'method a() on linear { "beh\\ind"\n output *= 2 }\na on attn.q',
        'import "beh\\ind.peft"\nlora on attn.q',
    ],
)
def test_an_unknown_escape_is_told_wherever_a_text_stands(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse(Source("<spec>", text))
    assert [found.code() for found in caught.value.diagnostics] == ["unknown-escape"]
