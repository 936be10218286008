"""What a diagnostic is. Each mistake is one class of this kind; how it looks is not decided
here.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Literal

from ..syntax.source import Span


@dataclass(frozen=True, slots=True)
class Label:
    """A place and what is wrong there; without a span it speaks of the model or the command
    line.
    """

    span: Span | None
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """Text that would replace a span."""

    span: Span
    replacement: str


class Diagnostic(ABC):
    """One mistake. A subclass is a frozen dataclass; its docstring is its manual entry, its name
    its code.
    """

    severity: ClassVar[Literal["error", "warning"]] = "error"

    @classmethod
    def code(cls) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    @abstractmethod
    def title(self) -> str:
        """What is wrong, in one line."""

    @abstractmethod
    def labels(self) -> tuple[Label, ...]:
        """The places, the primary one first."""

    def notes(self) -> tuple[str, ...]:
        """What was expected."""
        return ()

    def help(self) -> str | None:
        """What to do."""
        return None

    def fix(self) -> Fix | None:
        """An edit that would mend it."""
        return None


class SpecError(Exception):
    """One or more diagnostics, raised once, with all that was found. As text it is what the command
    line shows.
    """

    __module__ = "pefc"

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        from .render import report  # noqa: PLC0415  # it shows what stands above

        return report(self.diagnostics, "`.diagnostics` has all")


class SpecWarning(UserWarning):
    """One diagnostic that stops nothing."""

    __module__ = "pefc"

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic)

    def __str__(self) -> str:
        from .render import report  # noqa: PLC0415  # as above

        return report((self.diagnostic,), "")
