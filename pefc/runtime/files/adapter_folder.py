"""Files that belong together, replaced as one.

The manifest names the digest of every other file. New files are written beside the old ones under
`NAME.new`; replacing the manifest is the moment at which they hold. Whoever reads takes, of `NAME`
and `NAME.new`, the one with the digest.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from .pinned import Pinned

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None

MANIFEST = "plan.json"
LARGEST_MANIFEST = 1 << 26
"""Bytes. A model of 100,000 weights has one of about 40 MB."""
_TRIES = 100
"""Readings of a folder that is written meanwhile; a reading takes no longer than a write."""
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)

Content = bytes | tuple[bytes | memoryview, ...]
"""Of a file: its bytes, or parts that follow each other."""
Check = Callable[[Pinned], None]
"""Raises ValueError with the reason why a file cannot be what its name says; reads little of it."""


class NoFolderError(Exception):
    """A folder holds no manifest."""


class DamagedFileError(Exception):
    """A file does not belong to the manifest beside it: its path, and what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


def write_folder(
    folder: Path, files: Mapping[str, Content], manifest: Mapping[str, object]
) -> None:
    """Write files and their manifest; until the end, the folder holds what it held. Of several
    processes that write at once, one comes after the other.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        _write_all(folder, files, manifest)


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let a function write a file that holds what it held until all of it is written."""
    fresh = path.with_name(f"{path.name}.new")
    _write(fresh, b"")
    write(fresh)
    with fresh.open("rb") as file:
        os.fsync(file.fileno())
    fresh.replace(path)
    sync(path.parent)


def _write_all(folder: Path, files: Mapping[str, Content], manifest: Mapping[str, object]) -> None:
    _finish(folder, files)
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


def read_folder(
    folder: Path, checks: Mapping[str, Check]
) -> tuple[Mapping[str, Pinned], Mapping[str, object]]:
    """The files that `checks` names, once they pass, and the manifest. What the files hold is read,
    and compared with the manifest, when it is asked for: `contents`.

    While another process writes here this begins anew, so that what it gives belongs together.
    Raises NoFolderError where there is no manifest, DamagedFileError where a file does not belong
    to it.
    """
    for _ in range(_TRIES):
        text = _manifest(folder)
        try:
            found = _read_all(folder, text, checks)
        except DamagedFileError:
            if _manifest(folder) == text:
                raise
        else:
            if _manifest(folder) == text:
                return found
    raise DamagedFileError(folder / MANIFEST, "it is written all the time")


def contents(file: Pinned) -> bytes:
    """All of a file. Raises DamagedFileError where that is not what the manifest was written
    with.
    """
    content = file.whole()
    if file.digest not in {None, _digest(content)}:
        raise _other(file.path)
    return content


def _manifest(folder: Path) -> bytes:
    path = folder / MANIFEST
    if not path.is_file():
        raise NoFolderError(folder)
    try:
        file = Pinned(path)
        if file.size > LARGEST_MANIFEST:
            raise DamagedFileError(path, f"it has {file.size} bytes, {LARGEST_MANIFEST} at most")
        return file.whole()
    except OSError as error:
        raise DamagedFileError(path, (error.strerror or str(error)).lower()) from error


def _read_all(
    folder: Path, text: bytes, checks: Mapping[str, Check]
) -> tuple[Mapping[str, Pinned], Mapping[str, object]]:
    manifest, digests = _parsed(folder, text)
    files = {}
    for name, check in checks.items():
        if name not in digests:
            raise DamagedFileError(folder / MANIFEST, f"`files` does not name `{name}`")
        files[name] = _matching(folder, name, digests[name], check)
    return files, manifest


def _parsed(folder: Path, text: bytes) -> tuple[Mapping[str, object], Mapping[str, str]]:
    """The manifest, and the digest of each file."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, "it is not the JSON that pefc writes") from error
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(isinstance(each, str) for each in files.values()):
        raise DamagedFileError(path, "it is not the JSON that pefc writes: it has no `files`")
    for name in files:
        if name != os.path.basename(name) or "\0" in name or name in {"", ".", "..", MANIFEST}:  # noqa: PTH119
            raise DamagedFileError(path, f"it names `{name}`, outside of the folder")
    return manifest, files


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


def _finish(folder: Path, files: Mapping[str, Content]) -> None:
    """Move into place what an earlier write left under `NAME.new` when it was cut short, before it
    is overwritten.
    """
    try:
        _, digests = _parsed(folder, _manifest(folder))
    except (NoFolderError, DamagedFileError):
        return
    for name in files.keys() & digests.keys():
        fresh = folder / f"{name}.new"
        with suppress(OSError, DamagedFileError):
            file = Pinned(fresh, digests[name], follow=False)
            contents(file)
            fresh.replace(folder / name)
    sync(folder)


def _matching(folder: Path, name: str, digest: str, check: Check) -> Pinned:
    """Of `NAME.new` and `NAME` the file with a digest. They are opened in this order, since the
    one becomes the other.
    """
    found, reason = [], None
    for path in (folder / f"{name}.new", folder / name):
        try:
            file = Pinned(path, digest, follow=path.name == name)
            check(file)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
        else:
            found.append(file)
    if len(found) > 1:
        found = [file for file in found if _belongs(file)]
    if not found:
        raise _other(folder / name) if reason is None else DamagedFileError(folder / name, reason)
    return found[-1]


def _belongs(file: Pinned) -> bool:
    try:
        contents(file)
    except (OSError, DamagedFileError):
        return False
    return True


def _other(path: Path) -> DamagedFileError:
    return DamagedFileError(path, f"it is not the file that {MANIFEST} was written with")


def _write(path: Path, content: Content) -> None:
    """Write a file that is made now: what stands at its path, a link too, is taken away."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, _CREATE, 0o666), "wb") as file:
        file.writelines(_parts(content))
        file.flush()
        os.fsync(file.fileno())


def sync(folder: Path) -> None:
    """Renames are on disk when the folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _digest(content: Content) -> str:
    digest = hashlib.sha256()
    for part in _parts(content):
        digest.update(part)
    return digest.hexdigest()


def _parts(content: Content) -> tuple[bytes | memoryview, ...]:
    return content if isinstance(content, tuple) else (content,)
