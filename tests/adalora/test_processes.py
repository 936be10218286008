"""A training in two processes whose parameters are spread over both: `fully_shard`."""

from pathlib import Path

import pytest
import torch
from torch import distributed
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.multiprocessing.spawn import spawn

import pefc

from .training import STEPS, batch, model, sgd, sites

PROCESSES = 2


def ranks_of_one_process() -> dict[str, int]:
    trains = model()
    optimizer = sgd(trains)
    for step in range(STEPS):
        ids = batch(step)
        trains(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return dict(pefc.ranks(trains))


def run(process: int, folder: str) -> None:
    """The same training, of a model that is spread."""
    torch.set_num_threads(1)
    store = distributed.FileStore(f"{folder}/store", PROCESSES)
    distributed.init_process_group("gloo", store=store, rank=process, world_size=PROCESSES)
    trains = model()
    mesh = init_device_mesh("cpu", (PROCESSES,))
    for layer in trains.model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(trains, mesh=mesh)
    optimizer = sgd(trains)
    for step in range(STEPS):
        ids = batch(step)
        trains(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    ranks = dict(pefc.ranks(trains))
    for path, site in sites(trains).items():
        assert isinstance(site.E, DTensor)
        assert int((site.E.full_tensor() != 0).sum()) == ranks[path]
    torch.save(ranks, f"{folder}/{process}")
    distributed.destroy_process_group()


def test_ranks_are_those_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # the processes import this module
    spawn(run, (str(tmp_path),), nprocs=PROCESSES)
    expected = ranks_of_one_process()
    assert len(set(expected.values())) > 2
    for process in range(PROCESSES):
        assert torch.load(tmp_path / str(process)) == expected
