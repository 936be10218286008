"""`pefc prune`: a fused adapter becomes one that keeps fewer tasks at each place."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import pefc

from ..models import llama, words
from ..tasks.models import computed
from ..tasks.test_fusion import spec
from ..tasks.test_pruning import weighing
from .conftest import Run

MODULE = """
from tests.models import llama as model, words

def batches():
    yield {"input_ids": words()}
    yield words(rows=3)
"""


@pytest.fixture
def fused(run: Run, tmp_path: Path) -> Iterator[str]:
    """An adapter folder, and beside it `my_data`."""
    assert run
    pefc.save(weighing(pefc.apply(spec(), llama())), tmp_path / "fused")
    (tmp_path / "my_data.py").write_text(MODULE)
    path = list(sys.path)
    sys.modules.pop("my_data", None)  # of another test
    yield "fused"
    sys.path[:] = path
    sys.modules.pop("my_data", None)


def prune(run: Run, adapter: str, *more: str) -> str:
    data = ("--data", "my_data:batches", "--keep", "2")
    result = run("prune", adapter, "my_data:model", *data, "-o", "out", *more)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_what_stays_is_said_and_written(run: Run, fused: str, tmp_path: Path) -> None:
    lines = prune(run, fused).splitlines()
    assert lines[:4] == [
        "layer  path                keeps                  leaves out",
        "    0  model.layers.0.mlp  green 0.67, blue 0.24  red 0.09",
        "    1  model.layers.1.mlp  red 0.74, blue 0.16    green 0.10",
        "",
    ]
    (last,) = lines[4:]
    assert last.startswith("out: 2 fusions of at most 2 tasks, ")
    assert last.endswith(" KiB")
    loaded = pefc.load(llama(), tmp_path / "out")
    expected = pefc.load(llama(), tmp_path / "fused")
    pefc.prune(expected, [words()], keep=2)
    assert torch.equal(computed(loaded), computed(expected))


def test_a_pruned_adapter_takes_the_place_of_the_old_one(run: Run, fused: str) -> None:
    prune(run, fused)
    assert "of at most 2 tasks" in prune(run, "out", "--force")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"--keep": "1"}, "too-few-kept"),
        ({"--keep": "4"}, "too-many-kept"),
        ({"--data": "my_data"}, "function-not-found"),
        ({"--data": "no_such_module:batches"}, "function-not-found"),
        ({"--data": "my_data:words"}, "not-batches"),
        ({"--data": "builtins:list"}, "no-batches"),
        ({"-o": "my_data.py"}, "output-exists"),
    ],
)
def test_mistakes(run: Run, fused: str, changed: dict[str, str], code: str) -> None:
    given = {"--data": "my_data:batches", "--keep": "2", "-o": "out", **changed}
    result = run("prune", fused, "my_data:model", *(w for pair in given.items() for w in pair))
    assert result.exit_code == 1
    assert f"error[{code}]" in result.stderr
    assert result.stdout == ""
    assert not Path("out").exists()


def test_an_adapter_without_a_fusion(run: Run, fused: str, tmp_path: Path) -> None:
    assert fused
    pefc.save(pefc.apply("lora(r=2) on attn.q", llama()), tmp_path / "plain")
    given = ("--data", "my_data:batches", "--keep", "2", "-o", "out")
    result = run("prune", "plain", "my_data:model", *given)
    assert "error[no-fusion]: LlamaForCausalLM has no fusion" in result.stderr


def test_its_words_are_checked(run: Run) -> None:
    assert run("prune", "fused", "my_data:model", "--keep", "2", "-o", "out").exit_code == 2
    text = run("prune", "--help").stdout
    for word in ("ADAPTER", "MODEL", "--data", "--keep", "--out"):
        assert word in text
