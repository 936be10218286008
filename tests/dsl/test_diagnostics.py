"""Every diagnostic has a manual entry, and a golden that shows it."""

import re
from pathlib import Path

import pytest

from pefc.dsl.manual import codes, entry, example

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def shown() -> set[str]:
    """The codes that some golden file shows."""
    texts = (path.read_text(encoding="utf-8") for path in GOLDEN.rglob("*.err"))
    return {code for text in texts for code in re.findall(r"^\w+\[([\w-]+)\]:", text, re.MULTILINE)}


@pytest.mark.parametrize("code", codes())
def test_every_diagnostic_has_a_golden(code: str, shown: set[str]) -> None:
    assert code in shown


def test_goldens_show_known_diagnostics(shown: set[str]) -> None:
    assert shown <= set(codes())


@pytest.mark.parametrize("code", codes())
def test_every_diagnostic_has_a_manual_entry(code: str) -> None:
    text = entry(codes()[code])
    assert text.rstrip().endswith((".", ".)"))
    assert "\n\n" in text, "an entry says what the mistake is, and then what to do"


SPECS = [*(GOLDEN / "check").glob("*.peft"), *(GOLDEN / "model").glob("*.peft")]


@pytest.mark.parametrize(
    "path", sorted(path for path in SPECS if path.stem in codes()), ids=lambda path: path.stem
)
def test_examples_of_entries_are_the_goldens(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert example(codes()[path.stem]) == re.sub(r"^# on: \w+\n", "", text)
    found = path.with_suffix(".err").read_text(encoding="utf-8")
    assert f"[{path.stem}]" in found


def test_there_are_many() -> None:
    assert len(codes()) >= 40
