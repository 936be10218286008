"""What all tests share: `--bless` rewrites golden files instead of comparing with them."""

from collections.abc import Callable
from pathlib import Path

import pytest


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
