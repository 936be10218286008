"""Warnings: diagnostics of what a user may go on with."""

import inspect
import warnings

from .report import Diagnostic, SpecWarning

_OTHERS = frozenset(("pefc", "accelerate", "contextlib", "torch", "transformers", "trl"))
"""Packages between a user and what warns: pefc, and those that call a model or an optimizer."""


def warn(diagnostic: Diagnostic) -> None:
    """Show a diagnostic, of the line of the user's that has called pefc, the model, the optimizer
    or a Trainer.
    """
    warnings.warn(SpecWarning(diagnostic), stacklevel=_level())


def _level() -> int:
    """How far above `warn` the first caller stands that is in none of the packages; where all are,
    the nearest one.
    """
    frame, level = inspect.currentframe(), 0
    while frame is not None:
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        if package not in _OTHERS:
            return level
        frame, level = frame.f_back, level + 1
    return 2
