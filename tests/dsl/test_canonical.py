"""The text that an adapter is saved with says the same without recipes, aliases and constants."""

from pefc.dsl.checked.canonical import canonical
from pefc.dsl.checker.check import check
from pefc.dsl.format.page import format
from pefc.dsl.parsing import library
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.method import Method
from pefc.dsl.syntax.source import Source

SPEC = """\
let greeting = "Dear \\"all\\""
prompt(vocab)
prompt(init=greeting) as text
prompt(init="random") as drawn
houlsby(r=8, init=bert)
pfeiffer on ffn
prefix_mlp(shift)
adapterdrop(0..2, eval=1) {
  adapter(act=silu) on ffn as dropped
}
"""
TEXT = """\
prompt(init=vocab)
prompt(init="Dear \\"all\\"") as text
prompt(init=random) as drawn
adapter(form=sequential, r=8, init=bert, scale=1) on attn, xattn?, ffn
tune on norm
adapter(form=pfeiffer) on ffn as pfeiffer
prefix(mlp=512, shift=true) as prefix_mlp
adapterdrop(layers=0..2, eval=1) {
  adapter(act=silu) on ffn as dropped
}
"""


def is_standard(method: Method) -> bool:
    return library.method(method.name) is method


def test_members_stand_bare_and_texts_in_quotes() -> None:
    checked = check(parse(Source("<spec>", SPEC)))
    text = format(canonical(checked, is_standard))
    assert text == TEXT
    assert check(parse(Source("<canonical>", text))).steps == checked.steps


def canonical_text(spec: str) -> str:
    return format(canonical(check(parse(Source("<spec>", spec))), is_standard))


def test_arguments_have_the_order_of_the_parameters_whoever_gives_them() -> None:
    for name in library.names():
        method = library.method(name)
        if (
            method is None
            or method.site != "linear"
            or any(p.default is None for p in method.parameters)
        ):
            continue
        usage = f"{name} on attn.q"
        once = canonical_text(usage)
        assert canonical_text(once) == once
    text = canonical_text("rslora(r=2, alpha=3) on attn.q")
    assert text == "lora(r=2, alpha=3, stable=true) on attn.q as rslora\n"
    assert canonical_text(text) == text


def test_a_constant_stands_where_a_selection_names_it() -> None:
    text = canonical_text(
        "let r = 4\nlet last = 3\nlet attn = 5\nlora(r=r) on attn.q in layers 0..last\n"
    )
    assert "let r" not in text
    assert "let attn" not in text
    checked = check(parse(Source("<canonical>", text)))
    assert not checked.warnings
    assert canonical_text(text) == text
