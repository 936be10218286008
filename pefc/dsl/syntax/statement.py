"""Statements: what is attached to a model, and where."""

from dataclasses import dataclass, field

from .expression import Expression, Text
from .method import Alias, Method, Parameter, Use
from .selector import Selection
from .source import Span


@dataclass(frozen=True, slots=True)
class Setting:
    """`lr=10x`, `decay=0`, or `lr.B=16x` for one tensor, after `with`."""

    name: str
    tensor: str | None
    value: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Attach:
    """`lora(r=8) on attn.q in layers 0..5 as style expect 6 with lr=10x`; also `quantize(nf4) on
    …`, `fuse(a, b) on …`, a bare `gate(unipelt)` or `prompt(len=20)`: which it is, the checker
    says.
    """

    use: Use
    selection: Selection | None = None
    label: str | None = None
    expect: int | None = None
    settings: tuple[Setting, ...] = ()
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class TuneStatement:
    """`tune bias on attn.q`: the model's own parameters train; `what` is `bias`, `weight` or None
    for all.
    """

    what: str | None
    selection: Selection
    expect: int | None = None
    settings: tuple[Setting, ...] = ()
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Modify:
    """`gate(unipelt) { … }`, `adapterdrop(0..5) { … }`: a modifier over the statements inside."""

    use: Use
    body: "tuple[Statement, ...]"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Task:
    """`task NAME { … }`."""

    name: str
    body: "tuple[Statement, ...]"
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Constant:
    """`let NAME = e`; `param NAME = e` (`overridable`) may be set from outside."""

    name: str
    value: Expression
    overridable: bool
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Import:
    """`import "file.peft"`."""

    path: Text
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Recipe:
    """`recipe NAME(params) { … }`."""

    name: str
    parameters: tuple[Parameter, ...]
    documentation: Text | None
    body: "tuple[Statement, ...]"
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)


Statement = Attach | TuneStatement | Modify | Task | Constant | Import | Recipe | Method | Alias


@dataclass(frozen=True, slots=True)
class Comment:
    """`# text`, with the `#`."""

    text: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Spec:
    """A whole `.peft` text."""

    statements: tuple[Statement, ...]
    comments: tuple[Comment, ...] = field(default=(), compare=False, repr=False)
    span: Span = field(compare=False, repr=False, kw_only=True)
