"""Every example runs to its end on a few reviews, so what it asserts holds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .files import ROOT, name, tracked

EXAMPLES = tuple(file for file in tracked("examples/*.py") if "__main__" in file.read_text())
SPECS = tracked("examples/*.peft")


@pytest.mark.parametrize("example", EXAMPLES, ids=name)
def test_examples_run(example: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", example, "--rows", "8"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr


def test_every_example_reads_a_spec() -> None:
    names = {f'"{spec.name}"' for spec in SPECS}
    for example in EXAMPLES:
        text = example.read_text()
        assert any(spec in text for spec in names), name(example)


def test_every_spec_has_its_example() -> None:
    text = "".join(example.read_text() for example in EXAMPLES)
    assert [spec.name for spec in SPECS if f'"{spec.name}"' not in text] == []
