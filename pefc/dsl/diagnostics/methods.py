"""Mistakes in the frame of a method definition."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label
from .suggestions import listing, suggestion


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
