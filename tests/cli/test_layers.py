import pytest

from pefc.cli.views.paths import collapsed, ranges


@pytest.mark.parametrize(
    ("paths", "text"),
    [
        (["lm_head"], "lm_head"),
        ([f"l.{n}.q" for n in range(32)], "l.0..31.q"),
        (["l.3.q"], "l.3.q"),
        (["l.0.q", "l.2.q", "l.3.q"], "l.{0,2..3}.q"),
        ([f"l.{n}.e.{m}.up" for n in range(2) for m in range(4)], "l.0..1.e.0..3.up"),
        (["l.0.e.0.up", "l.0.e.1.up", "l.1.e.0.up"], "l.0..1.e.0.up, l.0.e.1.up"),
        (["l.0.q", "l.0.k", "l.1.q", "l.1.k"], "l.0..1.q, l.0..1.k"),
        (["l.1.q", "l.1.q"], "l.1.q"),
        ([f"{n}" for n in range(10)], "0..9"),
    ],
)
def test_collapsed(paths: list[str], text: str) -> None:
    assert collapsed(paths) == text


def test_ranges() -> None:
    assert ranges([5, 1, 2, 3]) == "{1..3,5}"
