"""Processes that save one adapter after another over the same folder, until something kills them.

`at_random` kills twenty of them, one after the other, and keeps copies of what each has left as
`FOLDER.1`, `FOLDER.2` and so on. `each` kills the one that saves over `FOLDER/1` at the first call
that changes files, the one that saves over `FOLDER/2` at the second, until there are no more.
"""

import builtins
import io
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Self

import torch
from torch import nn

import pefc

TRAINED = ("lora(r=2) on a", "ia3 on a")
"""The adapters that take turns: they share no tensor, so that no mix of them loads."""
KILLED = 77
KILLS = 20
CHANGES = ("replace", "rename", "fsync", "unlink", "mkdir")


class Small(nn.Module):
    """Nothing that takes time."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.a = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x)


def adapter(number: int) -> nn.Module:
    """The n-th adapter: each differs from the one before in its spec and its values."""
    model = pefc.apply(TRAINED[number % 2], Small())
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.fill_(number + 1)
    return model


class Dying:
    """Counts what changes files, and ends the process at one of them: before it happens."""

    def __init__(self, at: int) -> None:
        self.at, self.seen = at, 0

    def count(self) -> None:
        """One more."""
        self.seen += 1
        if self.seen == self.at:
            os._exit(KILLED)

    def watch(self) -> None:
        """Put this before every function that changes files."""
        for name in CHANGES:
            setattr(os, name, self.before(getattr(os, name)))
        opened = io.open

        def opening(file: object, mode: str = "r", *args: object, **kwargs: object) -> object:
            if isinstance(file, int) or not set(mode) & set("wax+"):
                return opened(file, mode, *args, **kwargs)  # pyright: ignore[reportArgumentType, reportCallIssue]
            self.count()
            found = opened(file, mode, *args, **kwargs)  # pyright: ignore[reportArgumentType, reportCallIssue]
            return Half(found, self)

        io.open = builtins.open = opening  # pyright: ignore[reportAttributeAccessIssue]

    def before(self, function):  # noqa: ANN001, ANN201
        def act(*args: object, **kwargs: object) -> object:
            self.count()
            return function(*args, **kwargs)

        return act


class Half:
    """A file of which only one half may have been written."""

    def __init__(self, file, dying: Dying) -> None:  # noqa: ANN001
        self.file, self.dying = file, dying

    def write(self, content: bytes) -> None:
        """Two writes."""
        self.file.write(content[: len(content) // 2])
        self.file.flush()
        self.dying.count()
        self.file.write(content[len(content) // 2 :])

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def forked(act: Callable[[], object]) -> int:
    """Start a process that ends with an act."""
    child = os.fork()
    if child:
        return child
    try:
        act()
        os._exit(0)
    except BaseException:  # noqa: BLE001  (a process that goes on would run other tests)
        os._exit(1)


def ended(child: int) -> int:
    """How a process has ended."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def at_random(folder: Path) -> None:
    """Killed while they save one after the other, as fast as it goes."""
    models, moments = [adapter(number) for number in range(8)], random.Random(3)  # noqa: S311
    pefc.save(models[0], folder)

    def save_on() -> None:
        while True:
            for model in models:
                pefc.save(model, folder)

    for kill in range(1, KILLS + 1):
        child = forked(save_on)
        time.sleep(moments.uniform(0.01, 0.15))
        os.kill(child, signal.SIGKILL)
        assert ended(child) == -signal.SIGKILL
        shutil.copytree(folder, folder.with_suffix(f".{kill}"))


def each(folder: Path) -> None:
    """A process for each call at which it dies."""
    old, new = adapter(0), adapter(1)

    def die(call: int) -> None:
        Dying(call).watch()
        pefc.save(new, folder / str(call))

    for call in count(1):
        pefc.save(old, folder / str(call))
        how = ended(forked(partial(die, call)))
        if how != KILLED:
            assert how == 0
            return
