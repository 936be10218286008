"""The language: text to a checked spec, and back to text. No torch."""

from .checker.check import check as check
from .diagnostics.report import SpecError as SpecError
from .diagnostics.report import SpecWarning as SpecWarning
from .read import parse as parse
from .read import read as read
