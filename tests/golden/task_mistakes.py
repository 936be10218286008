"""Mistakes with the tasks of a living model."""

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import nn

import pefc

from ..models import llama

TASKS = "task movies { adapter on ffn }\ntask tweets { adapter on ffn }\n"


def no_such_task() -> None:
    pefc.set_task(pefc.apply(TASKS, llama()), "movie")


def task_taken() -> None:
    pefc.apply("task movies { lora on attn.q }", pefc.apply(TASKS, llama()))


def not_a_task() -> None:
    with TemporaryDirectory() as folder:
        pefc.save(pefc.apply(TASKS, llama()), Path(folder) / "out")
        pefc.load(llama(), Path(folder) / "out", task="films")


def other_task() -> None:
    with TemporaryDirectory() as folder:
        pefc.save(pefc.apply("adapter(r=3) on ffn", llama()), Path(folder) / "out")
        try:
            pefc.load(pefc.apply(TASKS, llama()), Path(folder) / "out", task="movies")
        except pefc.SpecError as error:
            (found,) = error.diagnostics
            raise pefc.SpecError([_nameless(found)]) from error


def task_merge() -> None:
    pefc.merge(pefc.apply(TASKS, llama()))


def no_copy_of_batch_norm() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 8))
    pefc.plan("task movies { tune on norm }", model)


def _nameless(found: object) -> object:
    """The same for every temporary folder."""
    return type(found)(found.name, "out", found.found)


def no_fusion() -> None:
    pefc.prune(pefc.apply(TASKS, llama()), [], keep=2)


def too_few_kept() -> None:
    pefc.prune(fused(), [], keep=1)


def fused() -> nn.Module:
    return pefc.apply(f"{TASKS}fuse(movies, tweets) on ffn", llama())


def too_many_kept() -> None:
    pefc.prune(fused(), [], keep=3)


def no_batches() -> None:
    pefc.prune(fused(), [], keep=2)


def unfit_batch() -> None:
    pefc.prune(fused(), ["the film was good"], keep=2)


TASK_MISTAKES: tuple[Callable[[], None], ...] = (
    no_such_task,
    task_taken,
    not_a_task,
    other_task,
    task_merge,
    no_copy_of_batch_norm,
    no_fusion,
    too_few_kept,
    too_many_kept,
    no_batches,
    unfit_batch,
)
