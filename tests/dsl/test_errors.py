"""What Python shows of mistakes is what the command line shows."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import pefc
from pefc.cli.app import app

SPECS = {
    "one": "lora(rank=8) on attn.q\n",
    "two": "lora(rank=8) on attn.q\nlroa(r=4) on ffn\n",
    "many": "lroa on ffn\n" * 201,
}


def error_of(text: str) -> pefc.SpecError:
    with pytest.raises(pefc.SpecError) as caught:
        pefc.check(pefc.parse(text, name="train.peft"))
    return caught.value


@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_the_text_is_that_of_the_command(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    Path("train.peft").write_text(text)
    shown = CliRunner().invoke(app, ["check", "train.peft"]).stderr
    expected = shown.replace("`--format line` shows all", "`.diagnostics` has all")
    assert f"{error_of(text)}\n" == expected


def test_a_traceback_ends_with_it() -> None:
    code = f"import pefc; pefc.check(pefc.parse({SPECS['two']!r}, name='train.peft'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.endswith(f"\npefc.SpecError: {error_of(SPECS['two'])}\n")


def test_it_goes_from_process_to_process_with_its_notes() -> None:
    error = error_of(SPECS["two"])
    error.add_note("in rank 3")
    found = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(found) is pefc.SpecError
    assert found.diagnostics == error.diagnostics
    assert str(found) == str(error)
    assert found.__notes__ == ["in rank 3"]


def test_warnings_show_the_same() -> None:
    error = error_of(SPECS["one"])
    warning = pefc.SpecWarning(error.diagnostics[0])
    assert str(warning) == str(error)
    assert str(pickle.loads(pickle.dumps(warning))) == str(error)  # noqa: S301
