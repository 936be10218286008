"""A file that stays what it was when it was opened, whatever becomes of its name."""

import os
import stat
from pathlib import Path
from weakref import finalize

_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
_PART = 1 << 24
"""Bytes that are read at once."""


class Pinned:
    """A regular file, open for reading; devices and pipes are refused, since reading may not end.

    Raises OSError where it cannot be opened. `follow` a symbolic link, or refuse it.
    """

    def __init__(self, path: Path, digest: str | None = None, *, follow: bool = True) -> None:
        self.path = path
        self.digest = digest
        """What its manifest says of it."""
        self._handle = os.open(path, _READ if follow else _READ | getattr(os, "O_NOFOLLOW", 0))
        finalize(self, os.close, self._handle)
        status = os.fstat(self._handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "it is no regular file", str(path))
        self.size = status.st_size

    def read(self, start: int, count: int) -> bytes:
        """Some bytes; fewer where the file ends."""
        parts: list[bytes] = []
        stop = min(start + count, self.size)
        while start < stop:
            part = os.pread(self._handle, min(_PART, stop - start), start)
            if not part:
                break
            parts.append(part)
            start += len(part)
        return b"".join(parts)

    def whole(self) -> bytes:
        """All bytes. Raises OSError where they are more than the memory of the machine."""
        if self.size > _memory():
            raise OSError(None, f"it has {self.size} bytes, more than this machine's memory")
        return self.read(0, self.size)


def _memory() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # on Windows
        return 1 << 40
