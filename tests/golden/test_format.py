"""Each spec in format/ is formatted: `.out` beside it is the canonical text."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pefc.dsl.format.page import WIDTH, format
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.source import Source

FOLDER = Path(__file__).parent / "format"
CASES = sorted(FOLDER.glob("*.peft"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_format(path: Path, golden: Callable[[Path, str], None]) -> None:
    spec = parse(Source(path.name, path.read_text(encoding="utf-8")))
    text = format(spec)
    golden(path.with_suffix(".out"), text)
    again = parse(Source(path.name, text))
    assert again == spec
    assert [comment.text for comment in again.comments] == [c.text for c in spec.comments]
    assert format(again) == text


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_long_lines_are_broken(path: Path) -> None:
    for line in path.with_suffix(".out").read_text(encoding="utf-8").splitlines():
        assert len(line.partition("  #")[0]) <= WIDTH or "," not in line


def test_no_output_is_orphaned() -> None:
    for path in FOLDER.iterdir():
        assert path.with_suffix(".peft").exists(), path
