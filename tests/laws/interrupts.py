"""Interrupts at lines of pefc: each comes in a process of its own, forked at the line, so that one
run of a call meets as many of them as it has lines.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import TYPE_CHECKING

import pefc

if TYPE_CHECKING:
    from _typeshed import TraceFunction

HOME = f"{Path(pefc.__file__).parent}{os.sep}"
LINKER = (
    *("surgery", "training", "compiler/loading", "compiler/merge", "compiler/program"),
    *("compiler/growing", "compiler/tasking", "compiler/folds", "compiler/pruning"),
    *("compiler/saving", "compiler/link/", "runtime/installed", "runtime/patched"),
    *("runtime/tasks", "runtime/rates", "runtime/hooking", "runtime/buffers", "runtime/change"),
    *("runtime/quantized/", "runtime/state/folder"),
)
"""Where models are changed."""
BRIEF = ("compiler/tasking", "runtime/change")
"""All new lines of these are interrupted."""
Line = tuple[str, int]
State = Callable[[], object]


class Interrupt(KeyboardInterrupt):
    """What a signal would raise; nobody else raises it."""


@dataclass(slots=True)
class Outcome:
    """What came of the interrupts in one call."""

    lines: int = 0
    """How many lines it runs, each as often as it runs."""
    faults: int = 0
    torn: list[str] = field(default_factory=list)
    """Those that left neither what was before nor what comes after."""


@dataclass(slots=True)
class Campaign:
    """One call, with interrupts."""

    call: Callable[[], object]
    state: State
    identity: State
    """Goes with the state before the call."""
    after: object
    """The state after the same call on an equal model."""
    seen: set[Line] = field(default_factory=set)
    """Lines that are not new."""
    share: float = 1.0
    """Of all lines so many are interrupted."""
    new: float = 1.0
    """And so many of those that are where models are changed, and new."""
    outcome: Outcome = field(default_factory=Outcome)
    before: object = None
    is_late: bool = False
    """The model has begun to change, or has changed: from here on each line is interrupted."""
    line: Line | None = None
    """In a process that was interrupted: where."""
    random: Random = field(default_factory=lambda: Random(11))  # noqa: S311

    def run(self) -> Outcome:
        """Make the call, which must succeed where nothing interrupts it."""
        self.before = self.state(), self.identity()
        failure: BaseException | None = None
        sys.settrace(self._called)
        try:
            self.call()
        except BaseException as error:  # noqa: BLE001  (an interrupt, or what became of it)
            failure = error
        finally:
            sys.settrace(None)
        if self.line is not None:
            self._end()
        if failure is not None:
            raise failure
        assert self.state() == self.after
        return self.outcome

    def _called(self, frame: FrameType, _: str, __: object) -> "TraceFunction | None":
        return self._ran if frame.f_code.co_filename.startswith(HOME) else None

    def _ran(self, frame: FrameType, event: str, _: object) -> "TraceFunction":
        if event == "line":
            self.outcome.lines += 1
            code = frame.f_code
            line = code.co_filename.removeprefix(HOME), frame.f_lineno
            self.is_late |= code.co_name == "_at_once"
            is_new = line[0].startswith(LINKER) and line not in self.seen
            if is_new:
                self.seen.add(line)
            is_sure = self.is_late or (is_new and line[0].startswith(BRIEF))
            if is_sure or self.random.random() < (self.new if is_new else self.share):
                self._interrupt(line)
        return self._ran

    def _interrupt(self, line: Line) -> None:
        self.outcome.faults += 1
        process = os.fork()
        if process == 0:
            self.line = line
            raise Interrupt
        _, status = os.waitpid(process, 0)
        if status:
            self.outcome.torn.append("{}:{}".format(*line))

    def _end(self) -> None:
        """Of a process that was interrupted: it says by its code whether all is well."""
        try:
            found = self.state()
            is_whole = found == self.after or (found, self.identity()) == self.before
            os._exit(0 if is_whole else 1)
        except BaseException:  # noqa: BLE001  (a process that goes on would run other tests)
            os._exit(2)
