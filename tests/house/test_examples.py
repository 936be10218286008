"""Every example runs to its end on a few reviews, so what it asserts holds."""

import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers.utils import logging

from .files import ROOT, name, tracked

EXAMPLES = tuple(file for file in tracked("examples/*.py") if "__main__" in file.read_text())
SPECS = tracked("examples/*.peft")
FOLDER = ROOT / "examples"
ROWS = {"chat.py": 2}
"""Reviews where it is not 8: a language model reads them many times."""


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Examples import the modules beside them, and quiet transformers; both end with them."""
    monkeypatch.syspath_prepend(FOLDER)
    verbosity, shows_progress = logging.get_verbosity(), logging.is_progress_bar_enabled()
    yield
    logging.set_verbosity(verbosity)
    if shows_progress:
        logging.enable_progress_bar()
    for module, loaded in list(sys.modules.items()):
        if Path(getattr(loaded, "__file__", None) or "").parent == FOLDER:
            del sys.modules[module]


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_examples_run(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(example), "--rows", str(ROWS.get(example.name, 8))])
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out


def test_every_example_reads_a_spec() -> None:
    names = {f'"{spec.name}"' for spec in SPECS}
    for example in EXAMPLES:
        text = example.read_text()
        assert any(spec in text for spec in names), name(example)


def test_every_spec_has_its_example() -> None:
    text = "".join(example.read_text() for example in EXAMPLES)
    assert [spec.name for spec in SPECS if f'"{spec.name}"' not in text] == []
