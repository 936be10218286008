"""Two processes under ZeRO-3 of DeepSpeed train as one does, where DeepSpeed is installed."""

from pathlib import Path

import pytest
import torch

import pefc

from ..models import llama
from .running import run
from .test_training import NEAR, one
from .trained import adapted, batch
from .zero import NAMES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the processes have left."""
    found = tmp_path_factory.mktemp("zero")
    run("tests.processes.zero", str(found))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shared_out_trains_as_one(name: str, folder: Path) -> None:
    _, losses = one(name)
    assert losses[0] != losses[-1]
    assert torch.load(folder / f"{name}.pt")["losses"] == pytest.approx(losses, rel=0, abs=NEAR)


@pytest.mark.parametrize("kind", ["", "-resumed"])
@pytest.mark.parametrize("name", NAMES)
def test_what_is_shared_out_loads_in_one(name: str, kind: str, folder: Path) -> None:
    loaded = pefc.load(llama(), folder / f"{name}{kind}")
    if pefc.task_names(loaded):
        pefc.set_task(loaded, "one")
    with torch.no_grad():
        logits = loaded.eval()(batch()).logits
    expected = torch.load(folder / f"{name}.pt")["logits"]
    torch.testing.assert_close(logits, expected, rtol=0, atol=NEAR)


def test_a_checkpoint_of_what_is_shared_out_is_an_adapter(folder: Path) -> None:
    loaded = pefc.load(llama(), folder / "noted").state_dict()
    for name, value in adapted("placed").state_dict().items():
        assert torch.equal(loaded[name], value), name
