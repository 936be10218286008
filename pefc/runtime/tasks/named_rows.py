"""Which task each row of a batch belongs to, as the callers of a model name it: each thread and
each coroutine for itself.
"""

from asyncio import _get_running_loop
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from itertools import count
from threading import local
from types import MappingProxyType

import torch

Rows = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Named:
    """What one caller has named."""

    rows: Rows
    is_free: bool = False
    """Several rows of a batch may stand for one row of the caller's: beams and samples."""


_NAMED: ContextVar[Mapping[int, Named]] = ContextVar("pefc_named", default=MappingProxyType({}))
"""By the number of a model's `Naming`. New threads begin with nothing."""
_NUMBERS = count()


class _Here(local):
    """What compiled code looks at, which knows nothing of contexts: what this thread has named."""

    named: Named | None = None
    coroutines: Collection[object] = ()
    """Coroutines of this thread that name rows: what one has named is not what all have."""


@dataclass(eq=False, slots=True)
class Naming:
    """The names that callers of one model give to rows."""

    number: int = field(default_factory=_NUMBERS.__next__)
    is_used: bool = False
    """Whether anybody ever named rows: compiled code of the others looks at no context. It stays
    so, since nobody could take it back while another thread begins to name rows.
    """
    here: _Here = field(default_factory=_Here)

    def __deepcopy__(self, memo: object) -> "Naming":
        return Naming()

    @property
    def now(self) -> Named | None:
        """What this caller has named; None where one task runs for all rows."""
        if not self.is_used:
            return None
        if torch.compiler.is_compiling() and not self.here.coroutines:
            return self.here.named
        return _named(self.number)  # pyright: ignore[reportArgumentType, reportReturnType]

    @contextmanager
    def naming(self, rows: Rows) -> Iterator[None]:
        """Name the task of each row, for this caller, while it lasts."""
        before, user = self.now, object()
        try:
            try:
                self._enter(user, Named(rows))
                yield
            finally:
                self._leave(user, before)
        except BaseException:
            # An interrupt may have come before all was as it had been.
            self._leave(user, before)
            raise

    @contextmanager
    def freely(self) -> Iterator[None]:
        """Let several rows of a batch stand for one of the caller's, while it lasts."""
        before = self.now
        if before is not None:
            self._put(replace(before, is_free=True))
        try:
            yield
        finally:
            if before is not None:
                self._put(before)

    def forget(self) -> None:
        """Let one task run for all rows of this caller."""
        self._put(None)

    def _put(self, named: Named | None) -> None:
        others = {number: each for number, each in _NAMED.get().items() if number != self.number}
        _NAMED.set(others if named is None else {**others, self.number: named})
        self.here.named = named

    def _enter(self, user: object, named: Named) -> None:
        self.is_used = True
        if _get_running_loop() is not None:
            self.here.coroutines = {*self.here.coroutines, user}
        self._put(named)

    def _leave(self, user: object, before: Named | None) -> None:
        self._put(before)
        self.here.coroutines = {*self.here.coroutines} - {user}


@torch.compiler.disable
def _named(number: int) -> Named | None:
    """What the caller has named; compilers of Python know nothing of contexts."""
    return _NAMED.get().get(number)
