"""The hook of allocators in the steps of all optimizers of this process."""

from functools import cache
from itertools import count
from typing import Protocol
from weakref import WeakKeyDictionary, WeakValueDictionary

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)


class Stepped(Protocol):
    """Something that goes on with the steps of its parameters."""

    told: int
    """How many times it was told."""

    def stepped(self, held: frozenset[int]) -> None:
        """An optimizer has stepped that holds the parameters `held`, by `id`."""
        ...


_HOOKED: WeakValueDictionary[int, Stepped] = WeakValueDictionary()
"""By number, so that all processes of a training go through them in one order."""
_NUMBERS = count()
_BEFORE: WeakKeyDictionary[Optimizer, list[dict[int, int]]] = WeakKeyDictionary()
"""How many times each had been told when an optimizer began its step, the innermost step last.

A step may be the step of a base class or of another optimizer, with hooks of its own. What a step
that fails leaves behind stays below those that come.
"""


def hook(allocator: Stepped) -> None:
    """Let every optimizer that steps tell this allocator, as long as it lives."""
    _register()
    _HOOKED[next(_NUMBERS)] = allocator


def hooked() -> tuple[Stepped, ...]:
    """Those that live, in the order in which they came."""
    return tuple(_HOOKED[number] for number in sorted(_HOOKED))


@cache
def _register() -> None:
    register_optimizer_step_pre_hook(_before)  # pyright: ignore[reportArgumentType]
    register_optimizer_step_post_hook(_after)  # pyright: ignore[reportArgumentType]


@torch.compiler.disable
def _before(optimizer: Optimizer, *_: object) -> None:
    if _HOOKED:
        told = {id(allocator): allocator.told for allocator in hooked()}
        _BEFORE.setdefault(optimizer, []).append(told)


@torch.compiler.disable
def _after(optimizer: Optimizer, *_: object) -> None:
    """Tell the allocators, unless a step inside of this one has done so; and not where a fused
    optimizer has left its step out, since a scaled gradient was infinite.
    """
    steps = _BEFORE.get(optimizer)
    before = steps.pop() if steps else {}
    if not _HOOKED or bool(getattr(optimizer, "found_inf", None) or 0):
        return
    held = frozenset(id(p) for group in optimizer.param_groups for p in group["params"])
    for allocator in hooked():
        if before.get(id(allocator), allocator.told) == allocator.told:
            allocator.stepped(held)
