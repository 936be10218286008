"""Prompts: the new tokens of a call, for all rows, or for each row by its task."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from ..tasks import Tasks, rows_of


@dataclass(frozen=True, slots=True)
class New:
    """How many tokens stand before those of the text."""

    length: int
    """In the widest row."""
    seen: Tensor | None = None
    """[batch, length]: 1 where a row has a token, 0 where it is padded on the left, since another
    row has more; None where all rows have as many.
    """

    @property
    def before(self) -> int | Tensor:
        """How many stand before the text of each row."""
        return self.length if self.seen is None else self.seen.sum(1, keepdim=True)

    def behind(self, values: Tensor) -> Tensor:
        """Values [batch, n, …] of the new tokens and a text whose padding is moved from before the
        new tokens to the end of the row.
        """
        if self.seen is None:
            return values
        size, device = values.shape[1], values.device
        order = (torch.arange(size, device=device) + self.length - self.before) % size
        return values[torch.arange(len(values), device=device)[:, None], order]


NONE = New(0)
KIND = "pefc_kind_prompts"
"""The attribute of a module that says which prompt the task that is active has."""


class Prompts(Protocol):
    """The new tokens of a model."""

    def new(self, module: nn.Module, rows: int) -> New:
        """How many a call of so many rows has."""
        ...

    def prompt(self, module: nn.Module, rows: int) -> Tensor:
        """Their embeddings, [length, d] or [batch, length, d], made from the stem module."""
        ...


@dataclass(frozen=True, slots=True)
class OnePrompt:
    """The same new tokens for every row."""

    made: Callable[[nn.Module], Tensor]
    length: int

    def new(self, module: nn.Module, rows: int) -> New:  # noqa: ARG002
        """How many they are."""
        return New(self.length)

    def prompt(self, module: nn.Module, rows: int) -> Tensor:  # noqa: ARG002
        """Their embeddings [length, d], or [rows, length, d]."""
        prompt = self.made(module)
        if prompt.shape[-2] != self.length:
            raise ValueError(f"a prompt of {prompt.shape[-2]} tokens, not of {self.length}")
        return prompt


@dataclass(frozen=True, slots=True)
class TaskPrompts:
    """The new tokens of each task. The stem, the model and the decoder know the tasks."""

    kinds: tuple[tuple[Callable[[nn.Module, nn.Module | None], Tensor] | None, int], ...]
    """What makes the embeddings of a task from the stem and the task's module there, and how many
    they are; tasks of one form share it.
    """
    of_task: Mapping[str | None, int]
    """Which one a task has; None is what belongs to no task."""
    width: int

    def new(self, module: nn.Module, rows: int) -> New:
        """How many the rows have; those with fewer are padded on the left."""
        tasks = module.pefc_tasks
        assert isinstance(tasks, Tasks)
        named = tasks.rows
        if named is None:
            return New(self.kinds[_running(module)][1])
        counts = [self._count(name) for name in rows_of(named, rows)]
        widest = max(counts)
        if min(counts) == widest:
            return New(widest)
        device = next(module.parameters()).device
        place = torch.arange(widest, device=device)
        starts = widest - torch.tensor(counts, device=device)[:, None]
        return New(widest, (place >= starts).long())

    def prompt(self, module: nn.Module, rows: int) -> Tensor:
        """The embeddings of all rows, those of each task made once."""
        tasks = module.pefc_tasks
        assert isinstance(tasks, Tasks)
        named = tasks.rows
        if named is None:
            kind, slot = _running(module), module.pefc_slot
            return self._made(module, kind, slot, self.kinds[kind][1])  # pyright: ignore[reportArgumentType]
        names = rows_of(named, rows)
        widest = max(map(self._count, names))
        each = {
            name: self._made(module, self._kind(name), module._modules.get(name or ""), widest)
            for name in dict.fromkeys(names)
        }
        return torch.stack([each[name] for name in names])

    def _kind(self, name: str | None) -> int:
        return self.of_task.get(name, self.of_task[None])

    def _count(self, name: str | None) -> int:
        return self.kinds[self._kind(name)][1]

    def _made(self, module: nn.Module, kind: int, own: nn.Module | None, widest: int) -> Tensor:
        made, count = self.kinds[kind]
        like = next(module.parameters())
        padding = like.new_zeros(widest - count, self.width)
        if made is None:
            return padding
        return torch.cat([padding, made(module, own)])


def _running(module: nn.Module) -> int:
    """What runs where no task is named for each row: a number, so that compiled code knows no
    names.
    """
    return getattr(module, KIND)
