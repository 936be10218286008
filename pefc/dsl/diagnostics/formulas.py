"""Mistakes in the formulas of a method."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label
from .suggestions import listing, suggestion


@dataclass(frozen=True)
class UnknownAttribute(Diagnostic):
    """What follows a dot is nothing that a tensor has.

        method turned on linear {
          A: [in, out] = 0
          weight += A.t
        }

    A tensor has `.T`, `.mT`, `.reshape(sizes)` and `.flatten(start, stop)`.
    """

    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"a tensor has no `.{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "unknown attribute"),)

    def notes(self) -> tuple[str, ...]:
        return (f"a tensor has {listing(f'.{name}' for name in self.known)}",)

    def help(self) -> str | None:
        return suggestion(self.name, self.known)


@dataclass(frozen=True)
class NotCallable(Diagnostic):
    """Something is called that is neither a function nor a map.

        method doubled on linear {
          B: [out, in] = 0
          output += B(x)
        }

    A tensor is applied with `@`, as in `x @ B.T`; a map is declared with `->`. A parameter may be
    called if each of its members is a function of one argument: `act: {relu, gelu} = relu`.
    """

    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` cannot be called"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "neither a function nor a map"),)

    def help(self) -> str | None:
        return "apply a tensor with `@`, or declare a map with `->`"


@dataclass(frozen=True)
class NotValue(Diagnostic):
    """A function, a map or a builtin module is used where a value is needed.

        method added on block {
          down: d -> d = 0
          output += down
        }

    Call it: `down(x)`.
    """

    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` is not a value"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "a map or function, which is not called here"),)

    def help(self) -> str | None:
        return f"call it, for example `{self.name}(x)`"


@dataclass(frozen=True)
class MisplacedDistribution(Diagnostic):
    """A distribution stands in a formula: it would be drawn again in each forward.

        method noisy on linear {
          output += normal(0, 1)
        }

    Declare a tensor that starts with it: `e: [out] ~ normal(0, 1)`.
    """

    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` is a distribution and has no place in a formula"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "nothing is drawn in a forward"),)

    def help(self) -> str | None:
        return f"declare a tensor that starts with `~ {self.name}(…)`"


@dataclass(frozen=True)
class MisplacedPositions(Diagnostic):
    """`first` and `last` stand outside of `where`, or `where` holds something else.

        method starts on block {
          c: [d] = 0
          output += c where 3
        }

    `where first(3) or last(3)` restricts a rule to positions of the sequence; it holds `first`,
    `last`, `and`, `or`, `not`.
    """

    span: Span
    inside: bool
    """Whether the place is a `where`."""

    def title(self) -> str:
        if self.inside:
            return "`where` of a rule needs positions"
        return "positions belong into `where`"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.span, "not a set of positions" if self.inside else "outside of `where`"),
        )

    def help(self) -> str | None:
        return "write `where first(3) or last(3)` after the rule"


@dataclass(frozen=True)
class TooLate(Diagnostic):
    """Something must be known earlier than the values that it names: an `if`, a size or a seed
    before there are tensors, an initial value before there is an input.

        method halved on linear {
          g: [out] = 1
          if sum(x) > 0 {
            output *= g
          }
        }

    `if`, `require`, sizes, seeds and distributions are made of parameters and dims; initial values
    and `init` also of `W` and the tensors above.
    """

    name: str
    what: str
    """What names it."""
    known: str
    """What may be named there."""
    span: Span

    def title(self) -> str:
        return f"{self.what} cannot depend on `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not known yet"),)

    def notes(self) -> tuple[str, ...]:
        return (f"{self.what} may name {self.known}",)


@dataclass(frozen=True)
class WrongUnpacking(Diagnostic):
    """A `let` or `init` takes a value apart into more or fewer names than it has parts.

        method spectral(r: int = 8) on linear {
          init U, S = svd(W)
          g: [r] = S[:r]
          weight += U[:, :r] @ diag(g) @ U.T[:r]
        }

    Give one name a part: `svd` has three parts, `qr` and `factors` two.
    """

    names: int
    parts: int
    span: Span

    def title(self) -> str:
        return f"{self.names} names for {self.parts} values"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "one name a value is needed"),)


@dataclass(frozen=True)
class IllegalOver(Diagnostic):
    """`over dropout` stands on a rule whose change does not see the input.

        method shifted(p: prob = 0) on linear {
          d: [out] = 0
          bias += d over dropout(p)
        }

    It means that the change sees dropout(x), so it fits `weight` and `output` rules of sites with
    an input.
    """

    target: str
    span: Span

    def title(self) -> str:
        return f"a rule on `{self.target}` takes no `over dropout`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "this rule sees no input that could be dropped"),)

    def notes(self) -> tuple[str, ...]:
        return ("`over dropout` fits `weight` and `output` rules",)


@dataclass(frozen=True)
class MisplacedMethod(Diagnostic):
    """`change` is applied to something that is no method, or a method is used without `change`.

        method doubled on linear {
          output += change(x)
        }

    A parameter of type `method` or `methods` is used through `change(m)` only.
    """

    span: Span
    is_method: bool

    def title(self) -> str:
        if self.is_method:
            return "a method is used as a value"
        return "`change` needs a method"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.span, "a method" if self.is_method else "not a parameter of type `method`"),
        )

    def help(self) -> str | None:
        return f"write `change({self.span.text})`" if self.is_method else None
