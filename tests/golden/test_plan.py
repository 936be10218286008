"""Each spec in plan/ is planned on a tiny model without weights; what is printed is beside it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pefc.cli.app import app

FOLDER = Path(__file__).parent / "plan"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.peft")), ids=lambda path: path.stem)
def test_plan(
    path: Path, golden: Callable[[Path, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    monkeypatch.setenv("COLUMNS", "100")
    result = CliRunner().invoke(app, ["plan", path.name, "model"])
    if result.exit_code == 0:
        golden(path.with_suffix(".out"), result.stdout)
    else:
        golden(path.with_suffix(".err"), result.stderr)


def test_no_output_is_orphaned() -> None:
    for path in FOLDER.iterdir():
        assert path.is_dir() or path.with_suffix(".peft").exists(), path
