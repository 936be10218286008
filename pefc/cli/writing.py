"""Writing a text file so that a reader finds the old text or the new one, never half of it."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from ..dsl.diagnostics.commands import UnwritableFile
from ..dsl.diagnostics.core import SpecError


def write(path: Path, text: str) -> None:
    """Replace a file, also behind a link, and keep its permissions.

    Raises SpecError where the file cannot be written.
    """
    try:
        _replace(path.resolve(), text)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SpecError([UnwritableFile(str(path), reason)]) from error


def _replace(path: Path, text: str) -> None:
    mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~_umask()
    fresh = NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", delete=False, encoding="utf-8", newline=""
    )
    try:
        with fresh:
            fresh.write(text)
        Path(fresh.name).chmod(mode)
        Path(fresh.name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(fresh.name).unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
