"""Expressions: arguments of statements, conditions of selectors, formulas of methods."""

from dataclasses import dataclass, field

from .source import Span


@dataclass(frozen=True, slots=True)
class Number:
    """`8`, `0.5`, `1e-4`."""

    value: int | float
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Factor:
    """`10x`: ten times the base value."""

    value: int | float
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Text:
    """`"a string"`."""

    value: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Bool:
    """`true` or `false`."""

    value: bool
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Name:
    """A bare word: a parameter, dim, tensor, constant, port or enumeration member."""

    name: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Range:
    """`0..5`, both ends included; `-4..-1` counts from the end."""

    start: "Expression"
    stop: "Expression"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Sequence:
    """`[a, b, c]`."""

    items: "tuple[Expression, ...]"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Unary:
    """`-a`, `not a`."""

    operator: str
    operand: "Expression"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Binary:
    """`a + b`, with one of `+ - * / // % @ ** == != < <= > >= and or`."""

    operator: str
    left: "Expression"
    right: "Expression"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Conditional:
    """`a if test else b`; the test is decided at compile time."""

    then: "Expression"
    test: "Expression"
    otherwise: "Expression"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Argument:
    """An argument of a call; `name` is None for one given by position."""

    name: str | None
    value: "Expression"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """`f(a, b=c)`."""

    function: "Expression"
    arguments: tuple[Argument, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Attribute:
    """`A.T`."""

    value: "Expression"
    name: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Slice:
    """`a:b:c` inside an index; each part may be missing."""

    start: "Expression | None"
    stop: "Expression | None"
    step: "Expression | None"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Index:
    """`A[i, :k]`; `none` as an item adds an axis."""

    value: "Expression"
    items: "tuple[Expression | Slice, ...]"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Largest:
    """`max in`: the largest value of a dim over all sites of the statement."""

    dim: "Expression"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Comprehension:
    """`change(m) for m in members`, as the only argument of a call."""

    element: "Expression"
    variable: str
    iterable: "Expression"
    span: Span = field(compare=False, repr=False)


Expression = (
    Number
    | Factor
    | Text
    | Bool
    | Name
    | Range
    | Sequence
    | Unary
    | Binary
    | Conditional
    | Call
    | Attribute
    | Index
    | Largest
    | Comprehension
)
