"""Whenever the process dies that saves an adapter, the old one or the new one loads."""

import os
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import pefc
from pefc.cli.app import app
from pefc.runtime.files.adapter_folder import replace_file

from ..models import llama
from ..tasks.test_fusion import spec
from ..tasks.test_pruning import weighing
from ..training.trained import trainer
from .saving import KILLS, Small, adapter, at_random, each

STEPS = 12
"""Files are opened, written by halves, flushed and moved: at least so many calls."""
OURS = {"spec.peft", "plan.json", "adapter.safetensors"}


made = cache(adapter)


def output(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.eye(6))


@cache
def expected(number: int) -> torch.Tensor:
    return output(made(number))


def found(folder: Path) -> int:
    """The number of the adapter that a folder holds."""
    got = output(pefc.load(Small(), folder))
    (number,) = (n for n in range(8) if torch.equal(got, expected(n)))
    return number


def assert_next_save_is_clean(folder: Path) -> None:
    pefc.save(made(2), folder)
    assert found(folder) == 2
    assert {path.name for path in folder.iterdir()} == OURS


def test_processes_killed_at_random_leave_one_adapter(tmp_path: Path) -> None:
    at_random(tmp_path / "adapter")
    left = [tmp_path / f"adapter.{kill}" for kill in range(1, KILLS + 1)]
    assert len({found(folder) for folder in left}) > 1
    assert any(fresh for folder in left for fresh in folder.glob("*.new"))
    for folder in left[:5]:
        assert_next_save_is_clean(folder)


def test_a_process_killed_at_any_step_leaves_the_old_adapter_or_the_new_one(
    tmp_path: Path,
) -> None:
    each(tmp_path)
    *left, last = (tmp_path / str(call) for call in range(1, len(list(tmp_path.iterdir())) + 1))
    numbers = [found(folder) for folder in left]
    assert len(numbers) > STEPS
    assert numbers == sorted(numbers)
    assert set(numbers) == {0, 1}
    assert found(last) == 1
    for folder in left:
        assert_next_save_is_clean(folder)


def test_whatever_writes_an_adapter_changes_files_as_save_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So processes that do it die at the same calls as those above."""
    monkeypatch.chdir(tmp_path)
    model = weighing(pefc.apply(spec(), llama()))
    expected = changes(lambda: pefc.save(model, "saved"))
    assert len(expected) > len(OURS)
    pefc.save(adapter(0), "one")
    assert changes(lambda: pefc.combine(["one", "one"], "out", how="linear")) == expected
    command = ["prune", "saved", "tests.models:llama", "--data", "tests.processes.trained:batches"]
    pruning = partial(CliRunner().invoke, app, [*command, "--keep", "2", "-o", "pruned"])
    assert changes(pruning) == expected
    assert (tmp_path / "pruned" / "plan.json").exists()
    assert changes(lambda: trainer(model, tmp_path).save_model("noted")) == [
        *expected,
        ("os.remove", "model.safetensors.new"),
        ("os.rename", "model.safetensors.new"),
    ]


_SEEN: list[tuple[str, str]] | None = None


def changes(write: Callable[[], object]) -> list[tuple[str, str]]:
    """The calls that write or move files of an adapter meanwhile, with the names of the files."""
    global _SEEN  # noqa: PLW0603  (a hook of the interpreter cannot be taken out)
    listen()
    _SEEN = found = []
    write()
    _SEEN = None
    return found


@cache
def listen() -> None:
    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if _SEEN is None or event not in {"open", "os.rename", "os.remove"}:
            return
        name = Path(str(arguments[0])).name
        is_written = event != "open" or "w" in str(arguments[1])
        if is_written and name.removesuffix(".new") in OURS | {"model.safetensors"}:
            _SEEN.append((event, name))

    sys.addaudithook(hear)


def test_a_file_that_fails_halfway_is_what_it_was(tmp_path: Path) -> None:
    """The state of a Trainer's checkpoint is written so."""
    path = tmp_path / "state"
    replace_file(path, lambda fresh: fresh.write_bytes(b"old"))

    def fail(fresh: Path) -> None:
        fresh.write_bytes(b"ne")
        raise OSError

    with pytest.raises(OSError):  # noqa: PT011
        replace_file(path, fail)
    assert path.read_bytes() == b"old"
    replace_file(path, lambda fresh: fresh.write_bytes(b"new"))
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["state"]


def test_processes_that_save_at_once_leave_one_adapter(tmp_path: Path) -> None:
    """Every process of a training may save the model that it has."""
    pefc.save(adapter(0), tmp_path)
    models, children = [adapter(number) for number in (1, 2)], []
    for model in models:
        child = os.fork()
        if not child:
            try:
                for _ in range(10):
                    pefc.save(model, tmp_path)
            except BaseException:  # noqa: BLE001
                os._exit(1)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert found(tmp_path) in {1, 2}
    assert {path.name for path in tmp_path.iterdir()} == OURS
