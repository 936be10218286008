"""Tasks: several adapters on one base, of which one runs for all rows, or one for each row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from ..change import Change
from .gates import speaking_of
from .named_rows import Naming, Rows

Tensors = tuple[Tensor, ...]
Running = tuple[str | None, Rows | None]
"""The task of every row, and, where there are any, those of single rows."""

KINDS = "pefc_task_kinds"
"""The attribute of a class that says, for each of its patches, the number of the one that a task
has; by the attribute of a module with the number of the one that runs.
"""


@dataclass(slots=True)
class Tasks:
    """Which tasks a model has and which ones run; one object for all of its patched modules."""

    names: tuple[str, ...]
    active: str | None = None
    """The task of every row; None for the base with what belongs to no task."""
    naming: Naming = field(default_factory=Naming)
    """Names a task for each row, instead."""

    @property
    def rows(self) -> Rows | None:
        """The task of each row, as this caller names it; None where all rows have the one that is
        active.
        """
        named = self.naming.now
        return None if named is None else named.rows

    @property
    def running(self) -> Running:
        """What runs now, for this caller."""
        return self.active, self.rows


def running(
    cls: type[nn.Module], children: Mapping[str, nn.Module | None], name: str | None
) -> dict[str, object]:
    """The attributes with which a module of a class runs the patch of a task."""
    places = getattr(cls, KINDS, None)
    if places is None:
        return {}
    kinds = {attribute: of_task.get(name, of_task[None]) for attribute, of_task in places.items()}
    return {"pefc_slot": children.get(name or ""), **kinds}


@dataclass(frozen=True, slots=True)
class Lifted:
    """A patch as a function of the tensors of a task, for all tasks that have the same methods at a
    site.
    """

    run: Callable[..., Tensor]
    """(module, *ports, *tensors) -> value."""
    by_row: Callable[..., Tensor]
    """The same, where each tensor has one entry a row."""
    paths: tuple[tuple[str, ...], ...]
    """Where the tensors are in the module of a task."""
    stacked: tuple[bool, ...]
    """Whether a tensor differs from task to task: row numbers do not."""
    apart: bool = False
    """Each task runs by itself: some tensors are as large as the module's own parameters, too much
    to have once a row.
    """

    def tensors(self, holder: nn.Module | None) -> Tensors:
        """The tensors of one task."""
        return tuple(_found(holder, path) for path in self.paths)


@dataclass(frozen=True, slots=True)
class TaskPatch:
    """What a module runs: the patch of the task that is active, or of the task of each row."""

    kinds: tuple[Lifted, ...]
    """The different patches that tasks have here."""
    of_task: Mapping[str | None, int]
    """Which one a task has; None is what belongs to no task."""
    attribute: str
    """Under which the module has the number of the one that is active. A module with patches at
    several places, as a map that ends a block, has one for each.
    """

    def __call__(self, module: nn.Module, *ports: object) -> Tensor:
        tasks = module.pefc_tasks
        assert isinstance(tasks, Tasks)
        rows = tasks.rows
        if rows is None:
            lifted = self.kinds[cast("int", getattr(module, self.attribute))]
            return lifted.run(module, *ports, *lifted.tensors(module.pefc_slot))  # pyright: ignore[reportArgumentType]
        names = rows_of(rows, _batch(ports))
        return self._mixed(module, names, ports)

    def kind(self, task: str | None) -> int:
        """Which patch a task has."""
        return self.of_task.get(task, self.of_task[None])

    def _mixed(
        self, module: nn.Module, names: Sequence[str | None], ports: tuple[object, ...]
    ) -> Tensor:
        groups: dict[tuple[int, str | None], list[int]] = {}
        for row, name in enumerate(names):
            kind = self.kind(name)
            own = name if self.kinds[kind].apart else None
            groups.setdefault((kind, own), []).append(row)
        if len(groups) == 1:
            ((kind, _),) = groups
            return self._group(module, kind, names, ports)
        device = next(port.device for port in ports if isinstance(port, Tensor))
        parts = []
        for (kind, _), rows in groups.items():
            chosen = torch.tensor(rows, device=device)
            own = tuple(_of_rows(port, chosen) for port in ports)
            with speaking_of(module, rows):
                parts.append(self._group(module, kind, [names[row] for row in rows], own))
        order = torch.tensor([row for rows in groups.values() for row in rows], device=device)
        return torch.cat(parts).index_select(0, order.argsort())

    def _group(
        self,
        module: nn.Module,
        kind: int,
        names: Sequence[str | None],
        ports: tuple[object, ...],
    ) -> Tensor:
        """Rows whose tasks have the same patch, with tensors of their own."""
        lifted = self.kinds[kind]
        unique = tuple(dict.fromkeys(names))
        each = [lifted.tensors(module._modules.get(name or "")) for name in unique]
        if len(unique) == 1 or not lifted.paths:
            return lifted.run(module, *ports, *each[0])
        device = next(port.device for port in ports if isinstance(port, Tensor))
        place = torch.tensor([unique.index(name) for name in names], device=device)
        gathered = tuple(
            torch.stack(values).index_select(0, place) if is_own else values[0]
            for values, is_own in zip(zip(*each, strict=True), lifted.stacked, strict=True)
        )
        return lifted.by_row(module, ports, gathered)


def _found(holder: nn.Module | None, path: tuple[str, ...]) -> Tensor:
    found: object = holder
    for name in path:
        found = getattr(found, name)
    assert isinstance(found, Tensor)
    return found


def _batch(ports: tuple[object, ...]) -> int:
    return next(port.shape[0] for port in ports if isinstance(port, Tensor))


def rows_of(names: tuple[str | None, ...], batch: int) -> tuple[str | None, ...]:
    """The task of each row of a module's batch, which may have several rows for one of the
    caller's: beams, or tokens that were laid flat.
    """
    if batch % len(names):
        raise ValueError(
            f"a module is called with {batch} rows, which the {len(names)} rows of the tasks do "
            "not divide"
        )
    count = batch // len(names)
    return names if count == 1 else tuple(name for name in names for _ in range(count))


def _of_rows(port: object, rows: Tensor) -> object:
    """Some rows of a port; a port that is a function of rows is told which."""
    if isinstance(port, Tensor):
        return port.index_select(0, rows)
    return port.of_rows(rows) if isinstance(port, RowCall) else port


class RowCall:
    """A function of whole batches that can be asked for some rows alone."""

    def __init__(self, call: Callable[..., Tensor], rows: Tensor | None = None) -> None:
        self.call = call
        self.rows = rows

    def of_rows(self, rows: Tensor) -> "RowCall":
        """The function for some rows of those that it is for."""
        chosen = rows if self.rows is None else self.rows.index_select(0, rows)
        return RowCall(self.call, chosen)

    def __call__(self, *operands: object) -> Tensor:
        if self.rows is None:
            return self.call(*operands)
        return self.call(*operands, rows=self.rows)


def run_task(change: Change, model: nn.Module, name: str | None) -> None:
    """Let one task run for all rows of a model that is about to change; None for the base."""
    tasks = change.attributes(model)["pefc_tasks"]
    assert isinstance(tasks, Tasks)
    change.assign(tasks, "active", name)
    for _, module in change.named_modules(model):
        wires = running(change.class_of(module), change.children(module), name)
        if wires:
            change.attributes(module).update(wires)
