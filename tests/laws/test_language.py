"""Laws of the language: its text and its tree say the same."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.format.page import format
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.source import Source
from pefc.dsl.syntax.statement import Spec
from pefc.dsl.syntax.walk import walk

from .specs import specs

WORDS = (
    "lora adapter ( ) [ ] { } , ; . : = += -> ~ - + * ** @ .. on in layers all as expect with let"
    " param task tune method recipe import if else for over dropout where 8 0.5 10x 1e-4 attn.q"
    ' attn.{q,v} :Linear ? & except # " \\'
)
FRAGMENTS = st.sampled_from([*WORDS.split(), "\n"])


def read(text: str) -> Spec:
    return parse(Source("<law>", text))


@given(specs)
def test_format_then_parse_is_the_same_tree(spec: Spec) -> None:
    assert read(format(spec)) == spec


@given(specs)
def test_format_is_idempotent(spec: Spec) -> None:
    text = format(spec)
    assert format(read(text)) == text


@given(specs)
def test_spans_of_parts_lie_within_their_whole(spec: Spec) -> None:
    made = read(format(spec))
    for node in walk(made):
        for part in walk(node):
            assert node.span.start <= part.span.start <= part.span.stop <= node.span.stop


@given(st.lists(FRAGMENTS, max_size=40).map(" ".join))
def test_any_text_is_a_spec_or_has_mistakes_with_places(text: str) -> None:
    try:
        spec = read(text)
    except SpecError as error:
        for mistake in error.diagnostics:
            place = mistake.labels()[0].span
            assert place is not None
            assert 0 <= place.start <= place.stop <= len(text)
            assert mistake.title()
            assert mistake.code() != "too-many-mistakes"
        return
    assert read(format(spec)) == spec
    assert format(read(format(spec))) == format(spec)


@given(st.text(max_size=60))
def test_no_text_is_a_crash(text: str) -> None:
    made: Spec | None = None
    with suppress(SpecError):
        made = read(text)
    assert made is None or isinstance(made, Spec)
