"""Commands, run in this process in a folder of their own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pefc.cli.app import app

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command as from a shell without colour and without a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)

    def call(*arguments: str, text: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=text)

    return call


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., str]:
    """Writes a spec and gives its name."""

    def write(text: str, name: str = "train.peft") -> str:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return name

    return write
