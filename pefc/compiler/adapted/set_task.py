"""Choosing tasks of a model: one for all rows, or one for each row of a batch."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from ...dsl.diagnostics.report import SpecError
from ...dsl.diagnostics.tasks import NoSuchTask
from ...runtime.change import Change
from ...runtime.tasks import Tasks, run_task
from ..plan import attached


def set_task(model: nn.Module, name: str | None) -> None:
    """Let one task run for all rows, whoever calls; None for the base with what is of no task.

    Raises SpecError where the model has no such task.
    """
    tasks = _tasks(model, (name,))
    change = Change()
    run_task(change, model, name)
    tasks.naming.forget()
    change.commit()


@contextmanager
def tasks(model: nn.Module, names: Iterable[str | None]) -> Iterator[None]:
    """Let row i of every batch belong to task `names[i]`, while it lasts: in this thread, or this
    coroutine, alone.

    Raises SpecError where the model has no such task.
    """
    rows = tuple(names)
    found = _tasks(model, rows)
    with found.naming.naming(rows):
        yield


def task_names(model: nn.Module) -> tuple[str, ...]:
    """The tasks that a model has, in the order in which they came."""
    found = model.__dict__.get("pefc_tasks")
    return found.names if isinstance(found, Tasks) else ()


def _tasks(model: nn.Module, names: Sequence[str | None]) -> Tasks:
    attached(model)
    known = task_names(model)
    unknown = [name for name in dict.fromkeys(names) if name is not None and name not in known]
    if unknown or not known:
        raise SpecError([NoSuchTask(name or "", known) for name in unknown or [None]])
    found = model.__dict__["pefc_tasks"]
    assert isinstance(found, Tasks)
    return found
