"""The table of advice is true: each of its examples gets its advice."""

import pytest

from pefc.dsl.diagnostics.report import SpecError
from pefc.dsl.parsing.hints import ADVICE
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.source import Source

CASES = [(text, advice) for advice, texts in ADVICE.items() for text in texts]


def advised(text: str) -> str | None:
    with pytest.raises(SpecError) as caught:
        parse(Source("<example>", text))
    return caught.value.diagnostics[0].help()


def test_examples_get_their_advice() -> None:
    assert len(CASES) > 50
    assert {text: advised(text) for text, _ in CASES} == dict(CASES)
