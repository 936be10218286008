"""What the checker hands on: a spec whose names, arguments and types are right, with recipes
expanded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from ..diagnostics.report import Diagnostic
from ..syntax.method import Method
from ..syntax.selector import Selection
from ..syntax.source import Span
from ..syntax.statement import Setting, Spec

Value = int | float | bool | str | range | tuple["Value", ...]
"""A constant argument: an enumeration member is its name, a list a tuple, `0..5` is `range(0, 6)`,
`-4..-1` is `range(-4, 0)`.
"""

Lengths = tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
"""By site, the lengths of axes by the parameter that they had."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A method at a selection."""

    method: Method
    """With aliases resolved to the method that they name."""
    arguments: tuple[tuple[str, Value], ...]
    """Only those that were given, sorted by the order of the parameters; defaults may need a site's
    dims.
    """
    selection: Selection | None
    """None where nothing was written: the whole model, or every layer of the method's kind."""
    label: str
    """`as NAME`, else the name of the method or alias."""
    expect: int | None
    settings: tuple[Setting, ...]
    task: str | None
    span: Span = field(compare=False, repr=False)
    lengths: Lengths = ()
    """Of axes that have lost ranks in a saved adapter."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """The model's own parameters train; `what` is `bias`, `weight` or None for all."""

    what: str | None
    selection: Selection
    expect: int | None
    settings: tuple[Setting, ...]
    task: str | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Quantization:
    """The base weights of a selection live in few bits."""

    arguments: tuple[tuple[str, Value], ...]
    selection: Selection | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Fusion:
    """AdapterFusion over the adapters of the named tasks."""

    members: tuple[str, ...]
    selection: Selection | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Modified:
    """`gate(…)` or `adapterdrop(…)` over the steps inside."""

    modifier: str
    arguments: tuple[tuple[str, Value], ...]
    body: "tuple[Step, ...]"
    span: Span = field(compare=False, repr=False)


Step = Attachment | Tuning | Quantization | Fusion | Modified


@dataclass(frozen=True, slots=True)
class Checked:
    """A checked spec: what is done, in order."""

    spec: Spec
    steps: tuple[Step, ...]
    constants: tuple[tuple[str, Value], ...] = ()
    """Every `let` and `param` of the file with the value that holds. The expressions that remain in
    the steps (layer ends, `where`, settings) hold these values already.
    """
    warnings: tuple[Diagnostic, ...] = field(default=(), compare=False, repr=False)
    """What is legal and probably not meant."""


def leaves(steps: tuple[Step, ...]) -> Iterator[Attachment | Tuning | Quantization | Fusion]:
    """Every step, with those that stand inside of `gate` and `adapterdrop` in their place."""
    for step in steps:
        if isinstance(step, Modified):
            yield from leaves(step.body)
        else:
            yield step
