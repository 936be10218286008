"""The language: text to a checked spec, and back to text. No torch."""

from .checker import check as check
from .diagnostics.core import SpecError as SpecError
from .diagnostics.core import SpecWarning as SpecWarning
from .reading import parse as parse
from .reading import read as read
