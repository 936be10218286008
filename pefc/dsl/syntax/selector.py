"""Selectors: which sites of a model a statement means."""

from dataclasses import dataclass, field

from .expression import Expression, Range
from .source import Span


@dataclass(frozen=True, slots=True)
class Term:
    """A bare pattern as written, `attn.{q,v}`, `mlp.*`, `head`: a role if the roles know it, else a
    path glob.
    """

    pattern: str
    optional: bool = False
    """Marked `?`: it may match nothing."""
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Quoted:
    """`"attn.c_attn"`: a path glob, never read as a role."""

    pattern: str
    optional: bool = False
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class ClassTerm:
    """`:LlamaMLP`: every module of this class."""

    name: str
    optional: bool = False
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """`a, b`: the union, in the order of the model."""

    members: "tuple[Selector, ...]"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Except:
    """`a except b`."""

    base: "Selector"
    excluded: "Selector"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Both:
    """`a & b`."""

    left: "Selector"
    right: "Selector"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Layers:
    """`in layers 0..5, 8` (inclusive, negative from the end); no ranges means `all layers`."""

    ranges: tuple[Range, ...]
    """A single layer `4` is the range `4..4`; the ends are `Number`s or constants of the spec."""
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Selection:
    """A selector with the clauses that apply to the whole of it; also what parentheses hold."""

    selector: "Selector | None"
    """None where only `all layers` or `in layers` was written: the sites of the method's kind."""
    layers: Layers | None = None
    where: Expression | None = None
    span: Span = field(compare=False, repr=False, kw_only=True)


Selector = Term | Quoted | ClassTerm | AnyOf | Except | Both | Selection
