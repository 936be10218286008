"""The nearest name is the one that was probably meant, or none."""

import pytest

from pefc.dsl.diagnostics.suggestions import listing, nearest


@pytest.mark.parametrize(
    ("word", "name"),
    [
        ("alpah", "alpha"),
        ("dropuot", "dropout"),
        ("Alpha", "alpha"),
        ("stabel", "stable"),
        ("rank", None),
        ("q", None),
        ("xx", None),
    ],
)
def test_nearest(word: str, name: str | None) -> None:
    assert nearest(word, ("r", "alpha", "stable", "dropout")) == name


def test_listing() -> None:
    assert listing(()) == ""
    assert listing(("a",)) == "`a`"
    assert listing(("a", "b", "c")) == "`a`, `b` and `c`"
