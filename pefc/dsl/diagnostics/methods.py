"""Mistakes in the frame of a method definition."""

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


@dataclass(frozen=True)
class UnknownSite(Diagnostic):
    """A method is defined on a kind of site that the language does not have.

        method scaled on linaer {
          g: [out] = 1
          output *= g
        }

    The kinds are `linear`, `block`, `attention`, `tokens`, `embedding`, `norm`, `conv`, `param` and
    `any`.
    """

    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"there is no kind of site `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "unknown kind of site"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the kinds are {listing(self.known)}",)

    def help(self) -> str | None:
        return suggestion(self.name, self.known)


@dataclass(frozen=True)
class UnknownType(Diagnostic):
    """A parameter has a type that the language does not have.

        method scaled(r: integer = 8) on linear {
          g: [r] = 0
          output *= 1 + sum(g)
        }

    The types are `int`, `float`, `prob`, `bool`, `string`, `range`, `list`, `method`, `methods` and
    enumerations `{a, b}`.
    """

    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"there is no type `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "unknown type"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the types are {listing(self.known)} and enumerations `{{a, b}}`",)

    def help(self) -> str | None:
        return suggestion(self.name, self.known)


@dataclass(frozen=True)
class StringMember(Diagnostic):
    """A member of an enumeration stands in quotes.

        method started(start: {zero, "one"} = zero) on linear {
          g: [out] = 0 if start == zero else 1
          output += g
        }

    Members are bare names. `"text"`, as the last one, says that any string may be given as well.
    """

    span: Span

    def title(self) -> str:
        return "a member of an enumeration is a bare name"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "a string"),)

    def help(self) -> str | None:
        return 'take the quotes away, or write `"text"` where any string may be given'


@dataclass(frozen=True)
class DuplicateParameter(Diagnostic):
    """Two parameters, or two members of an enumeration, have one name.

        method scaled(r: int = 8, r: int = 4) on linear {
          g: [r] = 0
          output *= 1 + sum(g)
        }

    Rename one of them.
    """

    name: str
    span: Span
    first: Span

    def title(self) -> str:
        return f"`{self.name}` is a parameter twice"

    def labels(self) -> tuple[Label, ...]:
        if self.first == self.span:
            return (Label(self.span, "written twice here"),)
        return (Label(self.span, "again here"), Label(self.first, "first here"))


@dataclass(frozen=True)
class UnusedParameter(Diagnostic):
    """A parameter of a method or recipe is never used.

        method scaled(r: int = 8) on linear {
          g: [out] = 1
          output *= g
        }

    Somebody who sets it would expect an effect: use it or remove it.
    """

    owner: str
    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.owner}` never uses its parameter `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "has no effect"),)

    def help(self) -> str | None:
        return "use it or remove it"


@dataclass(frozen=True)
class IllegalTarget(Diagnostic):
    """A rule assigns, extends or tunes something that this kind of site does not offer.

        method scaled on block {
          g: [d] = 1
          weight *= g
        }

    `pefc explain linear` (or another kind) lists what may be assigned there.
    """

    verb: str
    target: str
    site: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"a {self.site} site has no `{self.target}` to {self.verb}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not offered here"),)

    def notes(self) -> tuple[str, ...]:
        if not self.known:
            return (f"a {self.site} site has nothing to {self.verb}",)
        return (f"a method on {self.site} may {self.verb} {listing(self.known)}",)

    def help(self) -> str | None:
        return suggestion(self.target, self.known)


@dataclass(frozen=True)
class IllegalShift(Diagnostic):
    """A rule on `positions` does something else than to shift all of them by a whole number.

        method moved on attention {
          positions *= 2
        }

    `positions += e` is all there is; `e` is made of parameters and dims, as a size is.
    """

    span: Span
    reason: str

    def title(self) -> str:
        return "positions can only be shifted"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self.reason),)

    def help(self) -> str | None:
        return "write `positions += len`, with a size in place of `len`"


@dataclass(frozen=True)
class NoEffect(Diagnostic):
    """A method has no rule: it declares and changes nothing.

        method scaled on linear {
          "scales, but forgets to say what"
        }

    A method needs at least one rule such as `weight += e`, or `extend`, or `tune`.
    """

    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.name}` changes nothing"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "no rule inside"),)

    def notes(self) -> tuple[str, ...]:
        return (f"a method on this kind of site may change {listing(self.known)}",)


@dataclass(frozen=True)
class UnknownPolicy(Diagnostic):
    """`shrink` names a rank allocator that the runtime does not have, or something that is no size
    of the method.

        method shrinking(r: int = 8, goal: int = 4) on linear {
          A: [r, in]  ~ kaiming(sqrt(5))
          B: [out, r] = 0
          weight += B @ A
          shrink r to goal by luck
        }

    The allocator is `sensitivity`; what shrinks is a parameter that is a size of a tensor.
    """

    name: str
    span: Span
    known: tuple[str, ...]
    what: str

    def title(self) -> str:
        return f"`{self.name}` is {self.what}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "cannot shrink by this"),)

    def notes(self) -> tuple[str, ...]:
        return (f"known here: {listing(self.known)}",) if self.known else ()

    def help(self) -> str | None:
        return suggestion(self.name, self.known)
