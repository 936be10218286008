"""Mistakes in what a method declares."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..syntax.source import Span
from .report import Diagnostic, Fix, Label
from .suggestions import listing, nearest, suggestion


@dataclass(frozen=True)
class Rebound(Diagnostic):
    """A name in a method is given twice, or hides a port, dim, parameter or function.

        method scaled on linear {
          g: [out] = 1
          let g = 2
          output *= g
        }

    Within a method a name means one thing: choose another.
    """

    name: str
    span: Span
    owner: str
    first: Span | None = None

    def title(self) -> str:
        return f"`{self.name}` is already {self.owner}"

    def labels(self) -> tuple[Label, ...]:
        if self.first is None:
            return (Label(self.span, "would hide it"),)
        return (Label(self.span, "given again here"), Label(self.first, "first given here"))

    def help(self) -> str | None:
        return "choose another name"


@dataclass(frozen=True)
class WrongShape(Diagnostic):
    """An item of a shape is not a size: sizes are known when a method is attached, so they are made
    of dims, parameters and integers.

        method scaled on linear {
          g: [out, 0] = 1
          output *= sum(g)
        }

    Use dims such as `in` and `out`, parameters, `let` values of these, and integers of at least 1.
    """

    span: Span
    reason: str

    def title(self) -> str:
        return "this is not the size of a tensor"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self.reason),)

    def notes(self) -> tuple[str, ...]:
        return ("a size is made of dims, parameters and integers of at least 1",)


@dataclass(frozen=True)
class UnknownDistribution(Diagnostic):
    """What follows `~` is not a distribution.

        method scaled on linear {
          g: [out] ~ gaussian(0, 1)
          output *= g
        }

    The note lists the distributions. An initial value that is not random is written with `=`.
    """

    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"there is no distribution `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not a distribution"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the distributions are {listing(self.known)}",)

    def help(self) -> str | None:
        return suggestion(self.name, self.known) or "write `=` for a value that is not random"

    def fix(self) -> Fix | None:
        name = nearest(self.name, self.known)
        return None if name is None else Fix(self.span, name)


@dataclass(frozen=True)
class UnfitDistribution(Diagnostic):
    """A distribution needs something that this kind of site does not have.

        method started on linear {
          g: [out] ~ vocabulary
          output *= g
        }

    `vocabulary` draws rows of the token embedding, for methods on `tokens`.
    """

    name: str
    site: str
    span: Span

    def title(self) -> str:
        return f"nothing can start from `{self.name}` at a {self.site} site"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "draws rows of the token embedding"),)

    def help(self) -> str | None:
        return "define the method on tokens, or take another distribution, such as `normal(0, 1)`"


@dataclass(frozen=True)
class UnusedTensor(Diagnostic):
    """A tensor is declared and no rule uses it, so that it would be saved and never trained.

        method scaled on linear {
          g: [out] = 1
          c: [out] = 0
          output *= g
        }

    Use it or remove it.
    """

    name: str
    span: Span

    def title(self) -> str:
        return f"the tensor `{self.name}` is never used"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "has no effect"),)

    def help(self) -> str | None:
        return "use it or remove it"


@dataclass(frozen=True)
class UnusedValue(Diagnostic):
    """A warning: a `let` or `init` of a method is never used.

        method scaled on linear {
          g: [out] = 1
          let h = 2 * g
          output *= g
        }

    Use it or remove it.
    """

    severity: ClassVar[Literal["error", "warning"]] = "warning"

    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` is never used"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "nothing below names it"),)
