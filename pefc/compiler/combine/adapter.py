"""The adapters that are combined, as their folders describe them: one each, of no task."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from ...dsl.checked import Attachment, Fusion, Modified, Step, Tuning, Value, leaves, task_of
from ...dsl.diagnostics.adapters import DamagedAdapter
from ...dsl.diagnostics.combine import ManyTasks
from ...dsl.diagnostics.report import SpecError
from ...runtime.files import MANIFEST
from ..state import Entry, Saved, read

Leaf = Attachment | Tuning


@dataclass(frozen=True, slots=True)
class Placed:
    """One method at one site, or one parameter of the model itself."""

    site: str
    kind: str
    label: str
    statement: int | None
    """The number of the statement; None where a parameter of the model trains."""
    paths: tuple[str, ...]
    """Of its tensors, as they are called outside of a task."""

    def path(self, name: str) -> str | None:
        """The path of a tensor by its declared name."""
        return next((path for path in self.paths if path.endswith(f".{name}")), None)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of an adapter, and the modifiers that stand around it."""

    step: Leaf
    around: tuple[tuple[str, tuple[tuple[str, Value], ...]], ...]


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a folder holds."""

    saved: Saved
    statements: tuple[Statement, ...]
    places: tuple[Placed, ...]
    tensors: Mapping[str, torch.Tensor]
    """By path outside of a task."""

    @property
    def folder(self) -> str:
        return str(self.saved.folder)

    @property
    def tuned(self) -> tuple[str, ...]:
        """Parameters of the model itself."""
        return tuple(path for each in self.places if each.statement is None for path in each.paths)


def adapter(folder: Path) -> Adapter:
    """Read a folder.

    Raises SpecError where it is damaged, or holds more than one task.
    """
    saved = read(folder)
    steps = tuple(leaves(saved.checked.steps))
    tasks = {task_of(step) for step in steps}
    if len(tasks) > 1 or any(isinstance(step, Fusion) for step in steps):
        raise SpecError([ManyTasks(str(folder), tuple(sorted(map(_shown, tasks))))])
    task = next(iter(tasks), None)
    _check(saved, len(steps))
    places = tuple(_placed(entry, task) for entry in saved.entries)
    plain = {path: own for entry in saved.entries for path, own in _own(entry, task)}
    tensors = {plain[path]: saved.tensors[path] for path in _planned(saved)}
    return Adapter(saved, tuple(_statements(saved.checked.steps, ())), places, tensors)


def _planned(saved: Saved) -> Iterator[str]:
    """The tensors of methods, and parameters; no buffers."""
    return (name for name in saved.shapes if name not in saved.buffers)


def _shown(task: str | None) -> str:
    return "no task" if task is None else f"`{task}`"


def _statements(steps: tuple[Step, ...], around: tuple[object, ...]) -> Iterator[Statement]:
    for step in steps:
        match step:
            case Modified(modifier, arguments, body):
                yield from _statements(body, (*around, (modifier, arguments)))
            case Attachment() | Tuning():
                yield Statement(step, around)  # pyright: ignore[reportArgumentType]
            case _:
                raise AssertionError(step)


def _check(saved: Saved, statements: int) -> None:
    """Raise SpecError where the plan of a folder does not speak of its spec and its tensors."""
    path = str(saved.folder / MANIFEST)
    if any((entry.statement or 0) >= max(statements, 1) for entry in saved.entries):
        raise SpecError([DamagedAdapter(path, "its plan speaks of other statements")])
    sizes = {n: prod(shape) for entry in saved.entries for n, shape in entry.tensors.items()}
    if sizes != {name: saved.shapes[name].numel() for name in _planned(saved)}:
        raise SpecError([DamagedAdapter(path, "its plan speaks of other tensors")])


def _placed(entry: Entry, task: str | None) -> Placed:
    paths = tuple(own for _, own in _own(entry, task))
    return Placed(entry.site, entry.kind, entry.label, entry.statement, paths)


def _own(entry: Entry, task: str | None) -> Iterator[tuple[str, str]]:
    """Each path of an entry with the one that it has outside of the task, where the copy of a
    parameter is the parameter itself.
    """
    for path in entry.tensors:
        before, found, after = f".{path}".rpartition(f".{task}.{entry.label}.")
        label = "" if entry.statement is None else f"{entry.label}."
        own = path if task is None or not found else f"{before}.{label}{after}"
        yield path, own.lstrip(".")
