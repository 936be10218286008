"""Files that belong together, replaced as one.

The manifest names the digest of every other file. New files are written beside the old ones under
`NAME.new`; replacing the manifest is the moment at which they hold. Whoever reads takes, of `NAME`
and `NAME.new`, the one with the digest.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

MANIFEST = "plan.json"


class NoFolderError(Exception):
    """A folder holds no manifest."""


class DamagedFileError(Exception):
    """A file does not belong to the manifest beside it: its path, and what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def write_folder(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, object]) -> None:
    """Write files and their manifest; until the end, the folder holds what it held. Of several
    processes that write at once, one comes after the other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _write_all(folder, files, manifest)


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let a function write a file that holds what it held until all of it is written."""
    fresh = path.with_name(f"{path.name}.new")
    write(fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)
    sync(path.parent)


def _write_all(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, object]) -> None:
    _finish(folder)
    digests = {name: _digest(content) for name, content in files.items()}
    text = json.dumps({**manifest, "files": digests}, indent=1) + "\n"
    fresh = {name: folder / f"{name}.new" for name in files}
    for name, content in files.items():
        _write(fresh[name], content)
    _write(folder / f"{MANIFEST}.new", text.encode())
    sync(folder)
    (folder / f"{MANIFEST}.new").replace(folder / MANIFEST)
    sync(folder)
    for name, path in fresh.items():
        path.replace(folder / name)
    sync(folder)


def read_folder(folder: Path) -> tuple[Mapping[str, bytes], Mapping[str, object]]:
    """The files and the manifest.

    Raises NoFolderError where there is no manifest, DamagedFileError where a file does not belong
    to it.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise NoFolderError(folder)
    try:
        manifest = json.loads(path.read_bytes())
        digests = dict(manifest["files"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedFileError(path, "it is not the JSON that pefc writes") from error
    return {name: _matching(folder, name, digest) for name, digest in digests.items()}, manifest


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Wait until no other process writes here. A lock ends with the process that has it."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _finish(folder: Path) -> None:
    """Move into place what an earlier write left under `NAME.new` when it was cut short, before it
    is overwritten.
    """
    try:
        files, _ = read_folder(folder)
    except (NoFolderError, DamagedFileError):
        return
    for name, content in files.items():
        fresh = folder / f"{name}.new"
        if fresh.is_file() and fresh.read_bytes() == content:
            fresh.replace(folder / name)
    sync(folder)


def _matching(folder: Path, name: str, digest: str) -> bytes:
    if Path(name).name != name:
        raise DamagedFileError(folder / MANIFEST, f"it names `{name}`, outside of the folder")
    for path in (folder / name, folder / f"{name}.new"):
        if path.is_file():
            content = path.read_bytes()
            if _digest(content) == digest:
                return content
    raise DamagedFileError(folder / name, f"it is not the file that {MANIFEST} was written with")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Renames are on disk when the folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
