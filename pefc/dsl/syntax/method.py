"""Method definitions: what a method is, by its formula."""

from dataclasses import dataclass, field

from .expression import Argument, Call, Expression, Name, Text
from .source import Span


@dataclass(frozen=True, slots=True)
class Enumeration:
    """`{sequential, parallel}` or `{random, vocab, "text"}` as the type of a parameter."""

    members: tuple[str, ...]
    span: Span = field(compare=False, repr=False)
    text: bool = False
    """Whether any string in quotes may be given as well."""


@dataclass(frozen=True, slots=True)
class NamedType:
    """`int`, `float`, `prob`, `bool`, `string`, `range`, `list`, `method`, `methods`."""

    name: str
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Parameter:
    """`r: int = 8`; without a default it must be given."""

    name: str
    type: NamedType | Enumeration | None
    default: Expression | None
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Tensor:
    """`A: [r, in] ~ kaiming(sqrt(5))` or `B: [out, r] = 0`: exactly one of `value` and
    `distribution` is given.
    """

    name: str
    shape: tuple[Expression, ...]
    value: Expression | None = None
    """A symbolic initial value (`=`), which the identity proof may use."""
    distribution: Expression | None = None
    """A random initial value (`~`), opaque to the proof: a `Call`, or a bare `Name` such as
    `xavier`.
    """
    frozen: bool = False
    scope: str | None = None
    """`model`, `kind` or `group` after `per`; None is a tensor of one site."""
    seed: Expression | None = None
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Affine:
    """`down: d -> r ~ kaiming(sqrt(5))`: a map with bias; the bias starts at zero."""

    name: str
    source: Expression
    target: Expression
    value: Expression | None = None
    distribution: Expression | None = None
    frozen: bool = False
    scope: str | None = None
    seed: Expression | None = None
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Indices:
    """`index I: [n] of [out, in] = sample(key)`: positions, not trained."""

    names: tuple[str, ...]
    shapes: tuple[tuple[Expression, ...], ...]
    of: tuple[Expression, ...] | None
    value: Expression
    scope: str | None = None
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Module:
    """`R: lstm(d, h, layers=2)`: a builtin module."""

    name: str
    call: Call
    scope: str | None = None
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Let:
    """`let V = e`, computed in each forward; `let a, b = e, f` binds several."""

    names: tuple[str, ...]
    values: tuple[Expression, ...]
    """One value a name, or a single value that is taken apart (`svd(W)`)."""
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Init:
    """`init U, S, Vh = svd(W)`, computed once when the method is attached."""

    names: tuple[str, ...]
    values: tuple[Expression, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Require:
    """`require in % r == 0`: a condition on hyper-parameters and dims."""

    condition: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class When:
    """`if test { … } else { … }`, decided at compile time."""

    test: Expression
    then: "tuple[MethodItem, ...]"
    otherwise: "tuple[MethodItem, ...]"
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """`weight += e over dropout(p) where first(3)`."""

    target: str
    """`weight`, `bias`, `input`, `output`, `keys`, `values`, `context` or `positions`."""
    operator: str
    """`=`, `+=`, `-=` or `*=`."""
    value: Expression
    over: Expression | None = None
    """The probability `p` of `over dropout(p)`."""
    where: Expression | None = None
    span: Span = field(compare=False, repr=False, kw_only=True)


@dataclass(frozen=True, slots=True)
class Extend:
    """`extend keys, values by K, V`."""

    targets: tuple[str, ...]
    values: tuple[Expression, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Tune:
    """`tune weight, bias`: the site's own parameters train."""

    parameters: tuple[Name, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Loss:
    """`loss += e`: a regulariser."""

    value: Expression
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Shrink:
    """`shrink r to target by sensitivity(steps=steps)`: a rank allocator of the runtime."""

    dim: str
    to: Expression
    policy: Call
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Rebase:
    """`rebase W = e`: the base itself is changed when the method is attached."""

    value: Expression
    span: Span = field(compare=False, repr=False)


Declaration = Tensor | Affine | Indices | Module
MethodItem = (
    Declaration | Let | Init | Require | When | Rule | Extend | Tune | Loss | Shrink | Rebase
)


@dataclass(frozen=True, slots=True)
class Use:
    """`lora(r=8)` in a statement: a method's name with arguments."""

    name: str
    arguments: tuple[Argument, ...]
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Method:
    """`method lora(r: int = 8) on linear { … }`."""

    name: str
    parameters: tuple[Parameter, ...]
    site: str
    documentation: Text | None
    body: tuple[MethodItem, ...]
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Alias:
    """`method rslora = lora(stable=true)`: another method with arguments fixed."""

    name: str
    base: Use
    name_span: Span = field(compare=False, repr=False)
    span: Span = field(compare=False, repr=False)
