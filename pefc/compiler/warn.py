"""Warnings: diagnostics of what a user may go on with."""

import warnings

from ..dsl.diagnostics.core import Diagnostic, SpecWarning


def warn(diagnostic: Diagnostic) -> None:
    """Show a diagnostic, of the place in the user's code that has called pefc or the model."""
    warnings.warn(SpecWarning(diagnostic), stacklevel=4)
