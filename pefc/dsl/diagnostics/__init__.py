"""Every diagnostic of the front end, and what a diagnostic is."""

from .core import Diagnostic as Diagnostic
from .core import Fix as Fix
from .core import Label as Label
from .core import SpecError as SpecError
