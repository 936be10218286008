"""Mistakes with the tasks of a living model."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

import pefc
from pefc.dsl.diagnostics.adapters import OtherBuffers
from pefc.dsl.diagnostics.tasks import OtherTask

from ..models import Buffered, llama, pictures

TASKS = "task movies { adapter on ffn }\ntask tweets { adapter on ffn }\n"


def no_such_task() -> None:
    pefc.set_task(pefc.apply(TASKS, llama()), "movie")


def task_taken() -> None:
    pefc.apply("task movies { lora on attn.q }", pefc.apply(TASKS, llama()))


def task_of_model() -> None:
    pefc.apply("task weight { lora on attn.q }", pefc.apply(TASKS, llama()))


def task_like_label() -> None:
    model = pefc.apply("lora on attn.q as style", llama())
    pefc.apply("task style { ia3 on attn.q }", model)


def task_of_other_arguments() -> None:
    with TemporaryDirectory() as folder:
        pefc.save(pefc.apply("adapter(act=gelu) on ffn", llama()), Path(folder) / "out")
        _over("movies", Path(folder) / "out")


def not_a_task() -> None:
    with TemporaryDirectory() as folder:
        pefc.save(pefc.apply(TASKS, llama()), Path(folder) / "out")
        pefc.load(llama(), Path(folder) / "out", task="films")


def other_task() -> None:
    with TemporaryDirectory() as folder:
        pefc.save(pefc.apply("adapter(r=3) on ffn", llama()), Path(folder) / "out")
        _over("movies", Path(folder) / "out")


def task_merge() -> None:
    pefc.merge(pefc.apply(TASKS, llama()))


def other_buffers() -> None:
    task = "task {0} {{ lora(r=2) on up }}"
    torch.manual_seed(0)
    base = Buffered().eval()
    with TemporaryDirectory() as folder:
        other = pefc.apply(task.format("films"), deepcopy(base)).train()
        other(pictures())
        pefc.save(other, Path(folder) / "out")
        try:
            pefc.load(pefc.apply(task.format("movies"), base), Path(folder) / "out", task="films")
        except pefc.SpecError as error:
            (found,) = error.diagnostics
            assert isinstance(found, OtherBuffers)
            raise pefc.SpecError([replace(found, folder="out")]) from error


def no_copy_of_batch_norm() -> None:
    model = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.Linear(8, 8))
    pefc.plan("task movies { tune on norm }", model)


def _over(task: str, folder: Path) -> None:
    """Load a folder over a task; what is said names no temporary folder."""
    try:
        pefc.load(pefc.apply(TASKS, llama()), folder, task=task)
    except pefc.SpecError as error:
        (found,) = error.diagnostics
        assert isinstance(found, OtherTask)
        raise pefc.SpecError([replace(found, folder="out")]) from error


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


def still_fused() -> None:
    model = pefc.apply(f"{TASKS}fuse(movies, tweets) on ffn", llama())
    pefc.remove(model, task="movies")


def fused_already() -> None:
    pefc.apply("fuse(tweets, movies) on ffn", fused())


def fusion_alone() -> None:
    model = pefc.apply(f"{TASKS}fuse(movies, tweets) on ffn", llama())
    pefc.save(model, "out", task="fusion")


def no_task_name() -> None:
    pefc.load(llama(), "out", task="film reviews")


TASK_MISTAKES: tuple[Callable[[], None], ...] = (
    still_fused,
    fused_already,
    fusion_alone,
    no_task_name,
    no_such_task,
    task_taken,
    task_of_model,
    task_like_label,
    task_of_other_arguments,
    not_a_task,
    other_task,
    other_buffers,
    task_merge,
    no_copy_of_batch_norm,
    no_fusion,
    too_few_kept,
    too_many_kept,
    no_batches,
    unfit_batch,
)
