"""Files become sources, or diagnostics that say why not."""

from pathlib import Path

from .. import diagnostics
from ..diagnostics.report import Diagnostic, SpecError
from ..syntax.source import Source, Span

_LONGEST = 200

LARGEST = 4_000_000
"""Bytes of a file that is read."""


def load_source(path: Path, name: str | None = None) -> Source:
    """The text of a file, with the name that diagnostics show; raises SpecError if it is not text
    in UTF-8.
    """
    shown = _printable(name or path.as_posix())
    content = _content(path, shown)
    try:
        return Source(shown, content.decode("utf-8").removeprefix("\ufeff"))
    except UnicodeDecodeError as error:
        readable = content[: error.start].decode("utf-8").removeprefix("\ufeff")
        source = Source(shown, readable)
        place = Span(source, len(readable), len(readable))
        raise SpecError([diagnostics.NotUtf8(place, error.start)]) from None


def _content(path: Path, shown: str) -> bytes:
    try:
        if not path.exists():
            raise SpecError([diagnostics.MissingFile(shown, _neighbours(path))])
        if not path.is_file():
            what = "this is a folder" if path.is_dir() else "this is no ordinary file"
            raise SpecError([diagnostics.UnreadableFile(shown, what)])
        if path.stat().st_size > LARGEST:
            raise SpecError([diagnostics.TooLargeFile(shown, LARGEST)])
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise SpecError([_unreadable(shown, error)]) from None


def _printable(name: str) -> str:
    shown = "".join(sign if sign.isprintable() else "\ufffd" for sign in name)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"


def _unreadable(shown: str, error: OSError | ValueError) -> Diagnostic:
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return diagnostics.UnreadableFile(shown, (reason or "not readable").lower())


def _neighbours(path: Path) -> tuple[str, ...]:
    """Files beside a missing one that could have been meant."""
    if not path.parent.is_dir():
        return ()
    kinds = {".peft", ".yaml", ".yml", ".toml", ".json"}
    return tuple(sorted(entry.name for entry in path.parent.iterdir() if entry.suffix in kinds))
