"""Import torch and what needs it, which takes seconds, without their unasked-for messages."""

import os
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager

_QUIET = {
    "TRANSFORMERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
}


@contextmanager
def loading() -> Generator[None]:
    """Modules are imported inside, quietly, with a sign of life on a terminal."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    warnings.simplefilter("ignore")
    if not sys.stderr.isatty():
        yield
        return
    from .console import working

    with working("loading torch"):
        yield
