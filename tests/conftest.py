"""What all tests share: one thread, no network, and `--bless`, which rewrites golden files."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite the golden files")


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
