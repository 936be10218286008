"""Work counted in calls of functions, which nothing else on the machine changes."""

import cProfile
import pstats
from collections.abc import Callable


def calls(function: Callable[..., object], *arguments: object) -> int:
    """Return how many functions one call of a function has called, itself included."""
    profile = cProfile.Profile()
    profile.runcall(function, *arguments)
    return pstats.Stats(profile).total_calls  # pyright: ignore[reportAttributeAccessIssue]
