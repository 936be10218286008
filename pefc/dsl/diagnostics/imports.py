"""Mistakes in imports."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True)
class MissingImport(Diagnostic):
    """An imported file does not exist.

        import "no_such_file.peft"

    The path is relative to the file that imports.
    """

    path: str
    span: Span
    near: tuple[str, ...] = ()
    """Files in the same folder with a similar name."""

    def title(self) -> str:
        return f'there is no file "{self.path}"'

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not found, relative to this file"),)

    def help(self) -> str | None:
        return f'did you mean "{self.near[0]}"?' if self.near else None


@dataclass(frozen=True)
class ImportOutside(Diagnostic):
    """An imported file lies outside the project folder, directly or by a symbolic link.

        import "../../elsewhere.peft"

    A spec reads files of its own folder and below only, so that running a stranger's spec gives
    nothing away. Copy the file, or name a folder further up as the root.
    """

    path: str
    span: Span

    def title(self) -> str:
        return f'"{self.path}" is outside the project folder'

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "leads outside"),)

    def notes(self) -> tuple[str, ...]:
        return ("the project folder is the folder of the top file",)

    def help(self) -> str | None:
        return "copy the file into the project"


@dataclass(frozen=True)
class CircularImport(Diagnostic):
    """A file imports itself, directly or through others.

        import "circular-import.peft"

    Move what both files need into a third one.
    """

    path: str
    span: Span
    chain: tuple[str, ...]

    def title(self) -> str:
        return f'"{self.path}" imports itself'

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "closes the circle"),)

    def notes(self) -> tuple[str, ...]:
        return (" -> ".join(self.chain),)

    def help(self) -> str | None:
        return "move what both need into a third file"


@dataclass(frozen=True)
class UnreadableImport(Diagnostic):
    """An imported file exists and is no text: a folder, not UTF-8, too large, or not permitted.

        import "broken/"

    Save it as UTF-8 text.
    """

    path: str
    span: Span
    reason: str

    def title(self) -> str:
        return f'"{self.path}" cannot be read'

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self.reason),)


@dataclass(frozen=True)
class StatementInImport(Diagnostic):
    """An imported file attaches something, where an import brings in definitions only.

        import "imported/attaches.peft"

    Put the statements into a `recipe` of the imported file and use it by name.
    """

    span: Span
    importer: Span

    def title(self) -> str:
        return "an imported file attaches something"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "a statement"), Label(self.importer, "imported here"))

    def notes(self) -> tuple[str, ...]:
        return ("imports bring in methods, recipes and the constants that these use",)

    def help(self) -> str | None:
        return "put it into a `recipe`"
