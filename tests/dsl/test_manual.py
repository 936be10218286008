"""The manual answers to every word, and the generated pages are fresh."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pefc.dsl import manual
from pefc.dsl.parsing import library
from pefc.dsl.syntax.vocabulary import FUNCTIONS, MODULES, POLICIES, SITES

DOCS = Path(__file__).parents[2] / "docs"


def test_every_word_is_explained() -> None:
    words = (*library.names(), *manual.codes(), *SITES, *FUNCTIONS, *MODULES, *POLICIES)
    assert [word for word in words if not manual.explain(word)] == []


def test_other_words_are_answered_with_the_nearest() -> None:
    assert manual.explain("lroa") is None
    assert manual.near("lroa") == "lora"
    assert manual.near("unknown-metod") == "unknown-method"


def test_every_method_says_what_it_is() -> None:
    assert all(summary for _, summary in manual.methods())


@pytest.mark.parametrize(
    ("name", "page"), [("errors.md", manual.errors_page), ("methods.md", manual.methods_page)]
)
def test_pages_are_fresh(
    name: str, page: Callable[[], str], golden: Callable[[Path, str], None]
) -> None:
    golden(DOCS / name, page())
