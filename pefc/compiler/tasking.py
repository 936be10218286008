"""Choosing tasks of a model: one for all rows, or one for each row of a batch."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from torch import nn

from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.tasks import NoSuchTask
from ..runtime.change import Change
from ..runtime.tasks import Tasks, running
from .attached import attached


def set_task(model: nn.Module, name: str | None) -> None:
    """Let one task run for all rows; None for the base with what belongs to no task.

    Raises SpecError where the model has no such task.
    """
    _tasks(model, (name,))
    change = Change()
    choose(change, model, name)
    change.commit()


def choose(change: Change, model: nn.Module, name: str | None) -> None:
    """The same, of a model that is to change in other ways too."""
    tasks = change.attributes(model)["pefc_tasks"]
    assert isinstance(tasks, Tasks)
    change.assign(tasks, "active", name)
    change.assign(tasks, "rows", None)
    for _, module in change.named_modules(model):
        wires = running(change.class_of(module), change.children(module), name)
        if wires:
            change.attributes(module).update(wires)


@contextmanager
def tasks(model: nn.Module, names: Iterable[str | None]) -> Iterator[None]:
    """Let row i of every batch belong to task `names[i]`, while it lasts.

    Raises SpecError where the model has no such task.
    """
    rows = tuple(names)
    found = _tasks(model, rows)
    before = found.rows
    try:
        try:
            found.rows = rows
            yield
        finally:
            _name(model, before)
    except BaseException:
        # An interrupt may have come before they were named again.
        _name(model, before)
        raise


def _name(model: nn.Module, rows: tuple[str | None, ...] | None) -> None:
    """The model has other tasks where some have come or gone meanwhile."""
    now = model.__dict__.get("pefc_tasks")
    if isinstance(now, Tasks):
        now.rows = rows


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
