"""Tasks whose ranks are allocated, each for itself."""

from pathlib import Path

import torch

import pefc

from ..models import llama
from .training import EXACT, adamw, batch, logits


def test_a_task_that_does_not_run_does_not_step() -> None:
    trains = pefc.apply(
        "task a { adalora(r=4, target=2, steps=6) on attn.q }\n"
        "task b { adalora(r=4, target=1, steps=6) on attn.q }",
        llama().double(),
    )
    pefc.set_task(trains, "a")
    optimizer = adamw(trains)
    for step in range(4):
        ids = batch(step)
        trains(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    steps = {
        path.split(".")[-4]: int(value)
        for path, value in trains.named_buffers()
        if path.endswith("shrinking.step")
    }
    assert steps == {"a": 4, "b": 0}


def test_tasks_come_and_go_with_their_allocators(tmp_path: Path) -> None:
    first = "task a { adalora(r=4, target=2, steps=5) on attn.q }"
    trains = pefc.apply(first, llama().double())
    pefc.apply("task b { adalora(r=4, target=1, steps=5) on attn.{q,v} }", trains)
    optimizer = adamw(trains)
    for step in range(10):
        pefc.set_task(trains, "ab"[step % 2])
        ids = batch(step)
        trains(ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    ranks = pefc.ranks(trains)
    totals = {
        task: sum(rank for path, rank in ranks.items() if f".{task}." in path) for task in "ab"
    }
    assert totals == {"a": 4, "b": 4}
    outputs = {task: logits(pefc.set_task(trains, task)) for task in "ab"}
    for task in "ab":
        pefc.save(trains, tmp_path / task, task=task)
    loaded = pefc.load(llama().double(), tmp_path / "a")
    pefc.load(loaded, tmp_path / "b", task="b")
    for task in "ab":
        torch.testing.assert_close(logits(pefc.set_task(loaded, task)), outputs[task], **EXACT)
    pefc.remove(trains, task="a")
    assert all(".b." in path for path in pefc.ranks(trains))
