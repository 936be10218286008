"""Interrupts at lines of pefc: each comes in a process of its own, forked at the line, so that one
run of a call meets as many of them as it has lines.
"""

import gc
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import FrameType
from typing import TYPE_CHECKING

import pefc

if TYPE_CHECKING:
    from _typeshed import TraceFunction

HOME = f"{Path(pefc.__file__).parent}{os.sep}"
COMMIT = f"runtime{os.sep}change.py"
"""Where models are changed."""
MOMENT = {"commit", "during", "_at_once"}
"""Functions around the moment at which they are."""
_LONGEST = 20
"""Seconds that a process has to end after its interrupt."""
Line = tuple[str, str, int]
"""Module, function, number."""
Place = tuple[Line, int]
"""A line, and how often it ran before."""
State = Callable[[], object]


class Interrupt(KeyboardInterrupt):
    """What a signal would raise; nobody else raises it."""


def lines_of(call: Callable[[], object]) -> Counter[Line]:
    """How often a call runs each line of pefc."""
    found: Counter[Line] = Counter()

    def ran(frame: FrameType, event: str, _: object) -> "TraceFunction":
        if event == "line":
            found[_line(frame)] += 1
        return ran

    _traced(call, ran)
    return found


def chosen(
    lines: Counter[Line], random: Random, seen: set[Line], most: int | None
) -> frozenset[Place]:
    """Lines to be interrupted, each at one of the times that it runs: those of the moment of a
    change, those of its module that were not seen, and so many others, or all.
    """
    sure = {line for line in lines if line[0] == COMMIT and line not in seen}
    seen |= sure
    sure |= {line for line in lines if line[0] == COMMIT and line[1] in MOMENT}
    others = [line for line in lines if line not in sure]
    some = others if most is None or most > len(others) else random.sample(others, most)
    return frozenset((line, random.randrange(lines[line])) for line in (*sure, *some))


@dataclass(slots=True)
class Campaign:
    """One call, with interrupts."""

    call: Callable[[], object]
    state: State
    identity: State
    """Goes with the state before the call."""
    after: object
    """The state after the same call on an equal model."""
    places: Collection[Place]
    """Where to interrupt it."""
    faults: int = 0
    torn: list[str] = field(default_factory=list)
    """Where interrupts left neither what was before nor what comes after."""
    before: object = None
    lines: Counter[Line] = field(default_factory=Counter)
    line: Line | None = None
    """In a process that was interrupted: where."""

    def run(self) -> "Campaign":
        """Make the call, which must succeed where nothing interrupts it."""
        self.before = self.state(), self.identity()
        failure: BaseException | None = None
        gc.collect()
        gc.freeze()  # what processes share they need not copy
        try:
            _traced(self.call, self._ran)
        except BaseException as error:  # noqa: BLE001  (an interrupt, or what became of it)
            failure = error
        if self.line is not None:
            self._end()
        gc.unfreeze()
        if failure is not None:
            raise failure
        assert self.state() == self.after
        return self

    def _ran(self, frame: FrameType, event: str, _: object) -> "TraceFunction":
        if event == "line":
            line = _line(frame)
            place = line, self.lines[line]
            self.lines[line] += 1
            if place in self.places:
                self._interrupt(line)
        return self._ran

    def _interrupt(self, line: Line) -> None:
        self.faults += 1
        process = os.fork()
        if process == 0:
            self.line = line
            signal.alarm(_LONGEST)  # one that waits for a lock would wait for ever
            raise Interrupt
        _, status = os.waitpid(process, 0)
        if status:
            self.torn.append("{0}:{2} ({1})".format(*line))

    def _end(self) -> None:
        """Of a process that was interrupted: it says by its code whether all is well."""
        try:
            found = self.state()
            is_whole = found == self.after or (found, self.identity()) == self.before
            os._exit(0 if is_whole else 1)
        except BaseException:  # noqa: BLE001  (a process that goes on would run other tests)
            os._exit(2)


def _line(frame: FrameType) -> Line:
    code = frame.f_code
    return code.co_filename.removeprefix(HOME), code.co_name, frame.f_lineno


def _traced(call: Callable[[], object], ran: "TraceFunction") -> None:
    def called(frame: FrameType, _: str, __: object) -> "TraceFunction | None":
        return ran if frame.f_code.co_filename.startswith(HOME) else None

    sys.settrace(called)
    try:
        call()
    finally:
        sys.settrace(None)
