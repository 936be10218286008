import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Run

Spec = Callable[..., str]

LOOSE = "lora( r = 8 )   on attn.q,attn.v # both\n"
TIGHT = "lora(r=8) on attn.q, attn.v  # both\n"


def test_files_are_rewritten_and_named(run: Run, spec: Spec, tmp_path: Path) -> None:
    spec(LOOSE, "a.peft")
    spec(TIGHT, "b.peft")
    result = run("fmt", "a.peft", "b.peft")
    assert (result.exit_code, result.stdout) == (0, "a.peft: changed\n")
    assert (tmp_path / "a.peft").read_text() == TIGHT
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.peft", "b.peft"]
    assert run("fmt", "a.peft", "b.peft").stdout == ""


def test_check_changes_nothing(run: Run, spec: Spec, tmp_path: Path) -> None:
    spec(LOOSE)
    result = run("fmt", "--check", "train.peft")
    assert (result.exit_code, result.stdout) == (1, "train.peft: would change\n")
    assert (tmp_path / "train.peft").read_text() == LOOSE
    spec(TIGHT)
    assert run("fmt", "--check", "train.peft").exit_code == 0


def test_standard_input_becomes_standard_output(run: Run) -> None:
    assert run("fmt", "-", text=LOOSE).stdout == TIGHT
    result = run("fmt", "--check", "-", text=LOOSE)
    assert (result.exit_code, result.stdout) == (1, "<stdin>: would change\n")


def test_a_file_with_mistakes_stays_and_others_are_done(
    run: Run, spec: Spec, tmp_path: Path
) -> None:
    spec("lora(r=8 on attn.q\n", "a.peft")
    spec(LOOSE, "b.peft")
    result = run("fmt", "a.peft", "b.peft")
    assert result.exit_code == 1
    assert "--> a.peft:1:" in result.stderr
    assert (tmp_path / "a.peft").read_text() == "lora(r=8 on attn.q\n"
    assert (tmp_path / "b.peft").read_text() == TIGHT


def test_permissions_and_links_stay(run: Run, spec: Spec, tmp_path: Path) -> None:
    spec(LOOSE)
    (tmp_path / "train.peft").chmod(0o640)
    (tmp_path / "link.peft").symlink_to("train.peft")
    assert run("fmt", "link.peft").exit_code == 0
    assert (tmp_path / "link.peft").is_symlink()
    assert (tmp_path / "train.peft").read_text() == TIGHT
    assert stat.S_IMODE((tmp_path / "train.peft").stat().st_mode) == 0o640


def test_a_failed_write_leaves_the_file(
    run: Run, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec(LOOSE)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    result = run("fmt", "train.peft")
    assert result.exit_code == 1
    assert "error[unwritable-file]" in result.stderr
    assert "no space left on device" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["train.peft"]
    assert (tmp_path / "train.peft").read_text() == LOOSE


def test_configs_are_not_formatted(run: Run, spec: Spec) -> None:
    result = run("fmt", f"{spec('peft: []', 'train.yaml')}#peft")
    assert result.exit_code == 1
    assert "error[only-specs]" in result.stderr
