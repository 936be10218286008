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


def test_every_diagnostic_has_a_golden(shown: set[str]) -> None:
    assert [code for code in codes() if code not in shown] == []


def test_goldens_show_known_diagnostics(shown: set[str]) -> None:
    assert shown <= set(codes())


def test_every_diagnostic_has_a_manual_entry() -> None:
    """It says what the mistake is, and then, in a paragraph of its own, what to do."""
    entries = {code: entry(found) for code, found in codes().items()}
    assert [code for code, text in entries.items() if "\n\n" not in text] == []
    unended = (code for code, text in entries.items() if not text.rstrip().endswith((".", ".)")))
    assert list(unended) == []


SPECS = [*(GOLDEN / "check").glob("*.peft"), *(GOLDEN / "model").glob("*.peft")]


def test_examples_of_entries_are_the_goldens() -> None:
    paths = [path for path in SPECS if path.stem in codes()]
    assert len(paths) > 100
    assert [path.name for path in paths if not _is_example(path)] == []
    assert [path.name for path in paths if f"[{path.stem}]" not in _shown(path)] == []


def _is_example(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return example(codes()[path.stem]) == re.sub(r"^# on: \w+\n", "", text)


def _shown(path: Path) -> str:
    return path.with_suffix(".err").read_text(encoding="utf-8")


def test_there_are_many() -> None:
    assert len(codes()) >= 40
