"""What a file knows: its definitions, its constants, and what was found wrong so far."""

from dataclasses import dataclass, field
from pathlib import Path

from .. import diagnostics
from ..checked import Value
from ..diagnostics.report import Diagnostic
from ..syntax.method import Alias, Method
from ..syntax.source import Span
from ..syntax.statement import Attach, Recipe, Task
from .parameters import Table

Definition = Method | Alias | Recipe


class Constants(dict[str, Value]):
    """Constants by name, which remember what was asked for."""

    def __init__(self, entries: dict[str, Value] | None = None) -> None:
        super().__init__(entries or {})
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Value:
        self.used.add(name)
        return super().__getitem__(name)


@dataclass(slots=True)
class Scope:
    """One file while it is checked."""

    path: Path
    """The file itself, resolved; a text without a file lies in the root."""
    definitions: "dict[str, tuple[Definition, Scope]]" = field(
        default_factory=dict[str, "tuple[Definition, Scope]"]
    )
    """Own and imported ones, each with the file that it is written in."""
    constants: Constants = field(default_factory=Constants)
    places: dict[str, Span] = field(default_factory=dict[str, Span])
    """Where each constant stands."""
    usable: "dict[str, Usable | Recipe | None]" = field(
        default_factory=dict[str, "Usable | Recipe | None"]
    )
    """What names of methods were found to mean."""


@dataclass(frozen=True, slots=True)
class Usable:
    """A method as a statement uses it: behind its aliases, with its table of parameters."""

    method: Method
    table: Table
    tensors: tuple[str, ...]
    """Tensors that it trains."""


@dataclass(slots=True)
class Run:
    """One check of a spec."""

    root: Path
    found: list[Diagnostic] = field(default_factory=list[Diagnostic])
    files: dict[Path, Scope] = field(default_factory=dict[Path, Scope])
    """Files that were imported."""
    open: list[Path] = field(default_factory=list[Path])
    """Files that are being imported, outermost first."""
    tasks: dict[str, Task] = field(default_factory=dict[str, Task])
    living: tuple[str, ...] = ()
    """Tasks of the model that the spec is for."""
    labels: dict[object, Attach] = field(default_factory=dict[object, Attach])
    """Attachments by task, label and selection."""
    expanding: tuple[str, ...] = ()
    """Recipes that are being expanded, outermost first."""
    expanded: set[int] = field(default_factory=set[int])
    """Recipes that were used, by identity."""
    steps: int = 0
    """Statements that recipes stood for."""
    is_full: bool = False
    """Whether there were too many, which was reported."""
    circles: set[frozenset[str]] = field(default_factory=set[frozenset[str]])
    """Circles of definitions that were reported."""

    def circle(self, names: tuple[str, ...], span: Span) -> None:
        """Reports a circle of definitions once, wherever it is entered."""
        if frozenset(names) not in self.circles:
            self.circles.add(frozenset(names))
            self.found.append(diagnostics.CircularDefinition(names, span))
