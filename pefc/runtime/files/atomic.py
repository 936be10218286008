"""A folder that is there as a whole or not at all."""

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex

from .adapter_folder import sync


@contextmanager
def unfinished(out: Path) -> Generator[Path]:
    """A new folder beside `out`, called `out.unfinished-…`, to write into. It becomes `out` at the
    end; after a failure it is removed, and a process that is killed leaves it under that name.

    Raises OSError where it cannot be made, and where `out` has come into being meanwhile.
    """
    fresh = out.with_name(f"{out.name}.unfinished-{token_hex(4)}")
    fresh.mkdir()
    try:
        yield fresh
        for path in (fresh, *fresh.rglob("*")):
            if path.is_dir():
                sync(path)
        fresh.rename(out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    sync(out.parent)


def sync_file(path: Path) -> None:
    """Put what was written to a file on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
