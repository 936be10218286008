"""Work counted in calls of functions, which nothing else on the machine changes."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from cProfile import Profile


def calls(function: Callable[..., object], *arguments: object) -> int:
    """Return how many functions one call of a function has called, itself included."""
    profile = Profile()
    with _uncollected():
        profile.runcall(function, *arguments)
    return _count(profile)


@contextmanager
def at_most(most: int) -> Iterator[None]:
    """Fail where what runs meanwhile calls more functions than so many, and does not raise."""
    with _uncollected(), Profile() as profile:
        yield
    found = _count(profile)
    assert found <= most, f"{found:,} calls, {most:,} at most"


@contextmanager
def _uncollected() -> Iterator[None]:
    """Collect no garbage meanwhile: libraries have callbacks for it, whose calls would count."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _count(profile: Profile) -> int:
    return sum(entry.callcount for entry in profile.getstats())
