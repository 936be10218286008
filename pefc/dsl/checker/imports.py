"""Imported files: found, kept inside the project folder, read and parsed."""

from pathlib import Path

from .. import diagnostics
from ..diagnostics.report import Diagnostic, SpecError
from ..diagnostics.suggestions import nearest
from ..parsing import parse
from ..syntax.source import Source
from ..syntax.statement import Import, Spec
from .scope import Run, Scope

LARGEST = 4_000_000
"""Bytes of a file that is read."""


def folder(name: str) -> Path | None:
    """The folder of the file that a source is named after; None for a text without a file."""
    path = Path(name.partition("#")[0])
    try:
        return path.parent.resolve() if path.is_file() else None
    except (OSError, ValueError):
        return None


def locate(statement: Import, scope: Scope, run: Run) -> Path | Diagnostic:
    """The file that an import names, or what is wrong with it."""
    text, span = statement.path.value, statement.path.span
    try:
        path = (scope.path.parent / text).resolve()
        if not path.is_relative_to(run.root):
            return diagnostics.ImportOutside(text, span)
        if not path.exists():
            return diagnostics.MissingImport(text, span, _near(path))
        if not path.is_file():
            return diagnostics.UnreadableImport(text, span, "this is a folder, or no ordinary file")
    except (OSError, ValueError, RuntimeError):
        return diagnostics.UnreadableImport(text, span, "no path of a file")
    if path in run.open:
        chain = [*run.open[run.open.index(path) :], path]
        return diagnostics.CircularImport(text, span, tuple(entry.name for entry in chain))
    return path


def read(statement: Import, path: Path, run: Run) -> Spec | tuple[Diagnostic, ...]:
    """The syntax tree of an imported file, or what is wrong with its text."""
    text, span = statement.path.value, statement.path.span
    try:
        if path.stat().st_size > LARGEST:
            return (diagnostics.UnreadableImport(text, span, f"larger than {LARGEST:,} bytes"),)
        content = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return (diagnostics.UnreadableImport(text, span, f"not UTF-8 at byte {error.start}"),)
    except OSError as error:
        return (
            diagnostics.UnreadableImport(text, span, (error.strerror or "not readable").lower()),
        )
    try:
        return parse(Source(_shown(path, run), content))
    except SpecError as error:
        return error.diagnostics


def _shown(path: Path, run: Run) -> str:
    return path.relative_to(run.root).as_posix()


def _near(path: Path) -> tuple[str, ...]:
    if not path.parent.is_dir():
        return ()
    name = nearest(path.name, (entry.name for entry in path.parent.glob("*.peft")))
    return () if name is None else (name,)
