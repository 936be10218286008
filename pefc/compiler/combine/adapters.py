"""The adapters that are combined, as their folders describe them: one each, of no task."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch

from ...dsl.checked import Attachment, Fusion, Modified, Step, Tuning, Value, leaves
from ...dsl.diagnostics.combining import ManyTasks
from ...dsl.diagnostics.core import SpecError
from ...dsl.diagnostics.state import DamagedAdapter
from ...runtime.state import MANIFEST
from ..parts import task_of
from ..reading import Saved, read

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
    places = tuple(_placed(entry, task) for entry in entries(saved))
    plain = {path: own for entry in entries(saved) for path, own in _own(entry, task)}
    tensors = {plain[path]: saved.tensors[path] for path in _planned(saved)}
    return Adapter(saved, tuple(_statements(saved.checked.steps, ())), places, tensors)


def _planned(saved: Saved) -> Iterator[str]:
    """The tensors of methods, and parameters; no buffers."""
    return (name for name in saved.tensors if name not in saved.buffers)


def entries(saved: Saved) -> list[dict[str, object]]:
    """What the plan of a folder says of each place; its form has been checked."""
    return saved.plan["attachments"]  # pyright: ignore[reportIndexIssue, reportOptionalSubscript, reportReturnType, reportUnknownVariableType]


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
    """Raises SpecError where the plan of a folder is not what pefc writes."""
    plan = saved.plan
    found = plan.get("attachments") if isinstance(plan, dict) else None
    path = str(saved.folder / MANIFEST)
    counted = isinstance(plan, dict) and isinstance(plan.get("trainable"), int)
    if (
        not counted
        or not isinstance(found, list)
        or not all(_is_entry(each, statements) for each in found)
    ):
        raise SpecError([DamagedAdapter(path, "its plan lacks what pefc writes there")])
    sizes = {name: prod(shape) for entry in found for name, shape in entry["tensors"].items()}
    if sizes != {name: saved.tensors[name].numel() for name in _planned(saved)}:
        raise SpecError([DamagedAdapter(path, "its plan speaks of other tensors")])


def _is_entry(entry: object, statements: int) -> bool:
    if not isinstance(entry, dict):
        return False
    texts = all(isinstance(entry.get(name), str) for name in ("site", "kind", "label"))
    number, tensors = entry.get("statement"), entry.get("tensors")
    counted = number is None or (isinstance(number, int) and 0 <= number < statements)
    costs = entry.get("costs")
    return (
        texts
        and counted
        and isinstance(entry.get("parameters"), int)
        and isinstance(costs, dict)
        and isinstance(costs.get("operations"), int)
        and isinstance(tensors, dict)
        and all(isinstance(shape, list) for shape in tensors.values())
    )


def _placed(entry: dict[str, object], task: str | None) -> Placed:
    number: int | None = entry["statement"]  # pyright: ignore[reportAssignmentType]
    paths = tuple(own for _, own in _own(entry, task))
    return Placed(str(entry["site"]), str(entry["kind"]), str(entry["label"]), number, paths)


def _own(entry: dict[str, object], task: str | None) -> Iterator[tuple[str, str]]:
    """Each path of an entry with the one that it has outside of the task, where the copy of a
    parameter is the parameter itself.
    """
    tensors: dict[str, object] = entry["tensors"]  # pyright: ignore[reportAssignmentType]
    for path in tensors:
        before, found, after = f".{path}".rpartition(f".{task}.{entry['label']}.")
        label = "" if entry["statement"] is None else f"{entry['label']}."
        own = path if task is None or not found else f"{before}.{label}{after}"
        yield path, own.lstrip(".")
