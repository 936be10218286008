"""What goldens do not show: files and links, values from outside, hostile specs, and cost."""

from pathlib import Path

import pytest

from pefc.dsl.checked.spec import Attachment, Value
from pefc.dsl.checker.check import check
from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.expression import Number
from pefc.dsl.syntax.source import Source
from tests.work import at_most, calls

CALLS = 10**7
"""Of functions, for a hostile spec."""


def codes(text: str, name: str = "<spec>", root: Path | None = None) -> list[str]:
    try:
        return [entry.code() for entry in check(parse(Source(name, text)), root=root).warnings]
    except SpecError as error:
        return [diagnostic.code() for diagnostic in error.diagnostics]


def test_imports_are_relative_to_their_file_and_stay_inside(tmp_path: Path) -> None:
    inner = tmp_path / "project" / "inner"
    inner.mkdir(parents=True)
    (inner / "a.peft").write_text('import "b.peft"\nmethod c = b(r=2)\n')
    (inner / "b.peft").write_text("method b = lora(r=1)\n")
    (tmp_path / "secret.peft").write_text("method s = lora(r=1)\n")
    (inner / "link.peft").symlink_to(tmp_path / "secret.peft")
    top = tmp_path / "project" / "top.peft"
    top.write_text("")
    name = str(top)
    assert codes('import "inner/a.peft"\nc on attn.q', name) == ["fixed-argument"]
    (inner / "a.peft").write_text('import "b.peft"\nmethod c = b(alpha=2)\n')
    assert codes('import "inner/a.peft"\nc on attn.q', name) == []
    assert codes('import "inner/a.peft"\nb on attn.q', name) == ["unknown-method"]
    assert codes('import "inner/link.peft"', name) == ["import-outside"]
    assert codes('import "../secret.peft"', name) == ["import-outside"]
    assert codes('import "../secret.peft"\ns on attn.q', name, tmp_path) == []
    assert codes(f'import "{"x/" * 5000}"', name) == ["unreadable-import"]


def test_circles_of_files_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.peft").write_text('import "b.peft"\n')
    (tmp_path / "b.peft").write_text('import "a.peft"\n')
    assert codes('import "a.peft"', str(tmp_path / "top.peft"), tmp_path) == ["circular-import"]


@pytest.mark.parametrize(
    ("default", "given", "fits"),
    [
        ("8", 16, True),
        ("8", 16.5, False),
        ("8.5", 16, True),
        ("true", False, True),
        ("true", 1, False),
        ('"a"', "b", True),
        ("0..3", range(2), True),
    ],
)
def test_values_from_outside_keep_the_type(*, default: str, given: Value, fits: bool) -> None:
    spec = parse(Source("<spec>", f"param p = {default}"))
    if fits:
        assert check(spec, overrides={"p": given}).constants == (("p", given),)
    else:
        with pytest.raises(SpecError, match="wrong-override"):
            check(spec, overrides={"p": given})


def test_values_reach_arguments_layers_and_conditions() -> None:
    spec = parse(Source("<spec>", "param n = 2\nlora(r=n) on linear in layers 0..n where in > n"))
    (step,) = check(spec, overrides={"n": 4}).steps
    assert isinstance(step, Attachment)
    assert dict(step.arguments) == {"r": 4}
    assert step.selection is not None
    assert step.selection.layers is not None
    assert step.selection.layers.ranges[0].stop == Number(4, step.span)
    assert step.selection.where.right == Number(4, step.span)


def test_spans_of_recipes_lead_to_the_use() -> None:
    text = "recipe one() { lora on attn.q }\nrecipe two() { one }\ntwo\n"
    (step,) = check(parse(Source("<spec>", text))).steps
    assert step.span.text.startswith("lora")
    assert step.span.via is not None
    assert step.span.via.text == "one"
    assert step.span.via.via is not None
    assert step.span.via.via.text == "two"


@pytest.mark.parametrize(
    "text",
    [
        f"let a = {'1+' * 5000}1\nlora(r=a) on attn.q",
        "lora on attn.q where in > " + "+".join(["1"] * 5000),
        "lora on " + " except ".join(["attn.q"] * 5000),
        "".join(f"method m{n + 1} = m{n}\n" for n in range(5000)) + "m5000 on attn.q",
        "".join(f"recipe m{n + 1}() {{ m{n} }}\n" for n in range(2000)) + "m2000",
        "recipe a() { a; a }\na",
        "let a = 9 ** 9 ** 9 ** 9\nlora(r=a) on attn.q",
        "method m on linear { let v = " + "x+" * 5000 + "x\noutput += v }",
    ],
    ids=range(8),
)
def test_hostile_specs_give_diagnostics_quickly(text: str) -> None:
    with at_most(CALLS):
        codes(text)


def test_growing_recipes_are_stopped() -> None:
    text = "recipe a0() { lora on attn.q; prompt }\n"
    text += "".join(f"recipe a{n + 1}() {{ {'; '.join([f'a{n}'] * 20)} }}\n" for n in range(7))
    assert "too-many-steps" in codes(f"{text}a7")


def test_cost_is_linear() -> None:
    def work(count: int) -> int:
        lines = "\n".join(f"lora(r=8) on attn.q as l{n}" for n in range(count))
        return calls(check, parse(Source("<spec>", lines)))

    work(10)
    assert work(1200) - work(800) == pytest.approx(work(800) - work(400), rel=0.01)
