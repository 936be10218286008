"""Two processes train as one does with the rows of both."""

from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

import pefc

from ..models import llama
from .running import run
from .trained import FULL, SIXTEEN, WAYS, adapted, batch, taught, train

NEAR = 1e-5
ROUNDED = 2**-8
"""A step of bfloat16, relative to the number."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the processes have left."""
    found = tmp_path_factory.mktemp("processes")
    run("tests.processes.worker", str(found))
    return found


@cache
def one(name: str) -> tuple[nn.Module, list[float]]:
    """The training of one process."""
    model = adapted(name)
    return model, train(model, batch())


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_two_processes_give_what_one_gives(name: str, way: str, folder: Path) -> None:
    found = torch.load(folder / f"{name}-{way}.pt")
    model, losses = one(name)
    assert losses[0] != losses[-1]
    assert found["losses"] == pytest.approx(losses, rel=0, abs=NEAR)
    parameters = {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    assert found["values"].keys() == parameters.keys()
    for path, value in parameters.items():
        torch.testing.assert_close(found["values"][path], value, rtol=0, atol=5e-5, msg=path)


@pytest.mark.parametrize(("name", "way"), WAYS)
def test_what_processes_saved_loads_in_one(name: str, way: str, folder: Path) -> None:
    loaded = pefc.load(llama(), folder / f"{name}-{way}")
    if pefc.task_names(loaded):
        pefc.set_task(loaded, "one")
    with torch.no_grad():
        logits = loaded.eval()(batch()).logits
    expected = torch.load(folder / f"{name}-{way}.pt")["logits"]
    torch.testing.assert_close(logits, expected, rtol=0, atol=NEAR)


@pytest.mark.parametrize("name", SIXTEEN)
def test_parts_train_in_16_bits(name: str, folder: Path) -> None:
    """Whatever is no parameter, or is shared between layers, computes in them too."""
    found = torch.load(folder / "sixteen.pt")[name]
    _, losses = one(name)
    assert losses[0] - losses[-1] > 2 * ROUNDED * losses[0]
    assert found == pytest.approx(losses, rel=ROUNDED, abs=0)


def test_what_is_computed_in_16_bits_is_saved_in_32(folder: Path) -> None:
    found = load_file(folder / "mixed" / "adapter.safetensors")
    model = adapted("mixed")
    tuned = "model.norm.weight"
    assert torch.equal(found[tuned], model.get_parameter(tuned))
    assert {value.dtype for value in found.values()} == {torch.float32}


@pytest.mark.parametrize("name", FULL)
def test_a_checkpoint_of_parts_holds_all_slices(name: str, folder: Path) -> None:
    written, saved = (folder / "full" / f"{name}-{what}" for what in ("checkpoint", "saved"))
    found, expected = (load_file(path / "adapter.safetensors") for path in (written, saved))
    assert found.keys() == expected.keys()
    for path, value in expected.items():
        assert torch.equal(found[path], value), path
    model = adapted(name)
    shapes = {path: value.shape for path, value in model.state_dict().items()}
    assert all(value.shape == shapes[path] for path, value in found.items())
    model.load_state_dict(load_file(written / "model.safetensors"))
    loaded = model.state_dict()
    assert all(torch.equal(loaded[path], value) for path, value in expected.items())


def test_a_trainer_in_two_processes_is_one(folder: Path, tmp_path: Path) -> None:
    losses = taught(tmp_path, rows=4)
    assert torch.load(folder / "taught.pt") == pytest.approx(losses, rel=0, abs=NEAR)
    checkpoint = f"checkpoint-{len(losses)}"
    one, two = (
        pefc.load(llama(), place / checkpoint).state_dict()
        for place in (tmp_path, folder / "taught")
    )
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=5e-5, msg=name)
