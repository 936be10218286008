"""What all tests share: one thread, no network, and `--bless`, which rewrites golden files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

LONG = (
    "adalora/test_processes.py",
    "blocks/test_linkers.py",
    "faces/test_imports.py",
    "fuzz/test_folder.py",
    "fuzz/test_front_end.py",
    "house/test_examples.py",
    "llm/test_large_weights.py",
    "llm/test_methods.py",
    "llm/test_model.py",
    "processes/test_training.py",
    "quantized/test_memory.py",
    "runtime/test_visibility.py",
    "tasks/test_hot_swap.py",
)
"""Modules with a test that takes five seconds or more."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite the golden files")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long tests come first, so that the last of them does not run while another core idles."""
    items.sort(key=lambda item: not item.path.as_posix().endswith(LONG))


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[Path, str], None]:
    """Compares a text with a golden file, or writes the file under `--bless`."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--bless"):
            path.write_text(text, encoding="utf-8")
            for other in {".out", ".err"} - {path.suffix}:
                path.with_suffix(other).unlink(missing_ok=True)
        assert path.exists(), f"{path} is missing: pytest --bless writes it"
        assert text == path.read_text(encoding="utf-8")

    return compare
