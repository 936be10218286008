import json
from collections.abc import Callable

import pytest

from .conftest import Run

Spec = Callable[..., str]


def test_what_is_right_is_said_on_stdout(run: Run, spec: Spec) -> None:
    result = run("check", spec("lora(r=8) on attn.q\n"))
    assert result.exit_code == 0
    assert result.stdout == "train.peft: 1 statement, no mistakes\n"
    assert result.stderr == ""


def test_all_mistakes_of_all_files_come_on_stderr(run: Run, spec: Spec) -> None:
    one = spec("lora(r=-3) on attn.q\nlorra(r=8) on attn.v\n", "one.peft")
    two = spec("lora(rank=8) on attn.q\n", "two.peft")
    result = run("check", one, two)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "--> one.peft:1:8" in result.stderr
    assert "--> one.peft:2:1" in result.stderr
    assert "--> two.peft:1:6" in result.stderr
    assert result.stderr.endswith("3 errors\n")


def test_one_line_each(run: Run, spec: Spec) -> None:
    result = run("check", spec("lora(r=-3) on attn.q\n"), "--format", "line")
    assert result.stderr == "train.peft:1:8: error[not-positive]: `r` must be at least 1\n"
    assert result.exit_code == 1


@pytest.mark.parametrize("flags", [("--json",), ("--format", "json")])
def test_json_is_the_result_and_goes_to_stdout(
    run: Run, spec: Spec, flags: tuple[str, ...]
) -> None:
    result = run("check", spec("lora(r=-3) on attn.q\n"), *flags)
    assert result.exit_code == 1
    assert result.stderr == ""
    (found,) = json.loads(result.stdout)["diagnostics"]
    assert found["code"] == "not-positive"
    assert (found["labels"][0]["line"], found["labels"][0]["column"]) == (1, 8)


def test_json_of_nothing(run: Run, spec: Spec) -> None:
    result = run("check", spec("lora(r=3) on attn.q\n"), "--json")
    assert json.loads(result.stdout) == {"diagnostics": []}
    assert result.exit_code == 0


def test_standard_input(run: Run) -> None:
    result = run("check", "-", text="lora(r=-3) on attn.q\n")
    assert "--> <stdin>:1:8" in result.stderr
    assert result.exit_code == 1


def test_a_key_of_a_config(run: Run, spec: Spec) -> None:
    name = spec("peft:\n  - {lora: {r: 8}, on: attn.q}\n", "train.yaml")
    assert run("check", f"{name}#peft").exit_code == 0
    result = run("check", f"{name}#part")
    assert result.exit_code == 1
    assert "error[missing-key]" in result.stderr


def test_a_missing_file_is_a_diagnostic(run: Run) -> None:
    result = run("check", "nothing.peft")
    assert result.exit_code == 1
    assert "error[missing-file]" in result.stderr


def test_warnings_do_not_fail(run: Run, spec: Spec) -> None:
    result = run("check", spec("let r = 8\nlora(r=4) on attn.q\n"))
    assert "warning[unused-constant]" in result.stderr
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("setting", "status", "said"),
    [
        ("r=16", 0, ""),
        ("r = 2 * 8", 0, ""),
        ("r=-1", 1, "error[not-positive]"),
        ("r=wide", 1, "error[wrong-override]"),
        ("q=1", 1, "error[unknown-override]"),
        ("r=1 2", 1, "--set:1:"),
        ("r=1/0", 1, "error[division-by-zero]"),
        ("r", 2, "NAME=VALUE"),
        ("r=", 2, "NAME=VALUE"),
        ("r=1\nlora on q", 2, "one value"),
    ],
)
def test_settings(run: Run, spec: Spec, setting: str, status: int, said: str) -> None:
    name = spec("param r = 8\nlora(r=r) on attn.q\n")
    result = run("check", name, "--set", setting)
    assert result.exit_code == status, result.stderr
    assert said in result.stderr


def test_colour_goes_around_the_text_and_not_into_it(
    run: Run, spec: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = spec("lora(r=-3) on attn.q\nlorra on q\n")
    plain = run("check", name).stderr
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = run("check", name).stderr
    assert "\033[1;31merror[not-positive]\033[0m" in coloured
    assert _without_escapes(coloured) == plain
    monkeypatch.setenv("NO_COLOR", "1")
    assert run("check", name).stderr == plain


def _without_escapes(text: str) -> str:
    pieces = text.split("\033[")
    return pieces[0] + "".join(piece.partition("m")[2] for piece in pieces[1:])
