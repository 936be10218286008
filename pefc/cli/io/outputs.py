"""Writing a text file so that a reader finds the old text or the new one, never half of it."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp

from ...compiler.state import check_free
from ...dsl.diagnostics.commands import UnwritableFile
from ...dsl.diagnostics.report import SpecError


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
    handle, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")
    fresh = Path(name)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123  (a handle)
            file.write(text)
        fresh.chmod(mode)
        fresh.replace(path)
    except BaseException:
        with suppress(OSError):
            fresh.unlink()
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def adapter_folder(out: Path, *, force: bool) -> Path:
    """The folder for an adapter. Raises SpecError where something is there, unless it is to be
    replaced.
    """
    if not force:
        check_free(out)
    return out
