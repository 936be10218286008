"""What only a process of its own can show."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from time import sleep

import pytest

PEFC = (sys.executable, "-m", "pefc.cli")


def test_version() -> None:
    done = subprocess.run([*PEFC, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == "pefc 0.1.0\n"


def test_wrong_usage_ends_with_2() -> None:
    for arguments in ((), ("chek", "a.peft"), ("check",), ("check", "--fast", "a.peft")):
        done = subprocess.run([*PEFC, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    (tmp_path / "train.peft").write_text("lora(r=8) on attn.q\n")
    code = "import sys; from pefc.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, "check", "train.peft"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    modules = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "pefc.dsl.checker" in modules
    heavy = {"torch", "numpy", "transformers", "lark", "rich.console", "pydantic"}
    assert not modules & heavy


def test_a_typer_with_other_insides_will_do(tmp_path: Path) -> None:
    (tmp_path / "train.peft").write_text("lora(r=8) on attn.q\n")
    code = (
        "import sys; sys.modules['pefc.cli.io.startup'] = None; from pefc.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "check", "train.peft", "--set", "r=8", "--format", "line"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error[unknown-override]" in done.stderr


def test_a_reader_that_leaves(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PEFC, "methods"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Jobs that a shell runs behind its back ignore interrupts, and so would their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_is_quiet(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PEFC, "check", "-"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(b"lora on q\n" * 100_000)
        process.stdin.flush()
        assert _interrupted(process) == 130
        assert process.stderr.read() == b""


def _interrupted(process: subprocess.Popen[bytes]) -> int:
    """Python overlooks a signal that comes just before it blocks, so another one may be needed."""
    for _ in range(10):
        sleep(0.3)
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            return process.wait(timeout=5)
    process.kill()
    return process.wait()


def test_broken_text_is_a_diagnostic(tmp_path: Path) -> None:
    (tmp_path / "train.peft").write_bytes(b"lora(r=8) on \xff\xfe\n")
    for text in (None, b"lora(r=8) on \xff\x00\n"):
        name = "train.peft" if text is None else "-"
        done = subprocess.run(
            [*PEFC, "check", name], input=text, cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == 1
        assert b"error[" in done.stderr
        assert b"Traceback" not in done.stderr
