"""The text that an adapter is saved with says the same without recipes, aliases and constants."""

from pefc.dsl import library
from pefc.dsl.canonical import canonical
from pefc.dsl.checker import check
from pefc.dsl.format import format
from pefc.dsl.parser import parse
from pefc.dsl.source import Source
from pefc.dsl.syntax import Method

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
