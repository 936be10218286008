"""Where commands write: what is there stays, unless it is to be replaced."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from safetensors.torch import load_file

import pefc

from ..models import llama
from .conftest import Run

FUSED = "task a { adapter(r=2) on ffn }\ntask b { adapter(r=2) on ffn }\nfuse(a, b) on ffn"
MODULE = """
from tests.models import llama as model, words

def batches():
    yield words()
"""
Contents = dict[str, bytes]

COMMANDS = {
    "compile": ("compile", "train.peft", "my_films:model"),
    "combine": ("combine", "first", "second", "--how", "linear"),
    "prune": (
        "prune",
        "fused",
        "my_films:model",
        *("--data", "my_films:batches", "--keep", "2"),
    ),
}


@pytest.fixture
def folder(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """With what the commands read, and an adapter `trained`."""
    assert run
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_films.py").write_text(MODULE)
    (tmp_path / "train.peft").write_text("lora(r=2) on attn.q\n")
    for name in ("first", "second"):
        pefc.save(pefc.apply("lora(r=2) on attn.q", llama()), tmp_path / name)
    pefc.save(pefc.apply("ia3 on attn.k", llama()), tmp_path / "trained")
    pefc.save(pefc.apply(FUSED, llama()), tmp_path / "fused")
    yield tmp_path
    sys.modules.pop("my_films", None)


def contents(folder: Path) -> Contents:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_adapter_is_replaced_only_if_that_is_said(run: Run, folder: Path, command: str) -> None:
    before = contents(folder / "trained")
    refused = run(*COMMANDS[command], "-o", "trained")
    assert refused.exit_code == 1
    assert "error[output-exists]: `trained` is there already" in refused.stderr
    assert "`--force`" in refused.stderr
    assert contents(folder / "trained") == before
    (folder / "trained" / "notes.txt").write_text("of the training")
    done = run(*COMMANDS[command], "-o", "trained", "--force")
    assert done.exit_code == 0, done.stderr
    assert "ia3" not in (folder / "trained" / "spec.peft").read_text()
    assert not any("ia3" in name for name in load_file(folder / "trained/adapter.safetensors"))
    assert (folder / "trained" / "notes.txt").read_text() == "of the training"
    assert len(contents(folder / "trained")) == len(before) + 1


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_folder_is_taken_and_a_file_is_not(run: Run, folder: Path, command: str) -> None:
    (folder / "out").mkdir()
    assert run(*COMMANDS[command], "-o", "out").exit_code == 0
    refused = run(*COMMANDS[command], "-o", "train.peft")
    assert "error[output-exists]" in refused.stderr
    forced = run(*COMMANDS[command], "-o", "train.peft", "--force")
    assert forced.exit_code == 1
    assert "error[unwritable-file]" in forced.stderr
    assert (folder / "train.peft").read_text() == "lora(r=2) on attn.q\n"


def test_a_page_takes_the_place_of_a_page_alone(
    run: Run, folder: Path, spec: Callable[..., str]
) -> None:
    name = spec("ia3 on attn.k\n", "other.peft")
    first = run("graph", "train.peft", "my_films:model", "--html", "page.html")
    second = run("graph", name, "my_films:model", "--html", "page.html")
    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "ia3" in (folder / "page.html").read_text()
    refused = run("graph", "train.peft", "my_films:model", "--html", name)
    assert refused.exit_code == 1
    assert "error[output-exists]" in refused.stderr
    assert (folder / name).read_text() == "ia3 on attn.k\n"
