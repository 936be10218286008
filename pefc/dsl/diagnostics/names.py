"""Mistakes in names: unknown, defined twice, circular, never used."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..syntax.source import Span
from .report import Diagnostic, Fix, Label
from .suggestions import listing, nearest, suggestion
from .synonyms import METHODS, VALUES


@dataclass(frozen=True)
class UnknownMethod(Diagnostic):
    """A statement uses a method that neither the standard library nor this file nor its imports
    define.

        lroa(r=8) on attn.q

    Check the spelling against `pefc methods`, define the method, or import the file that does.
    """

    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"there is no method `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not defined here, not imported, not in the standard library"),)

    def help(self) -> str | None:
        name = self._meant()
        return f"did you mean `{name}`?" if name else "`pefc methods` lists the standard library"

    def _meant(self) -> str | None:
        return METHODS.get(self.name) or nearest(self.name, self.known)

    def fix(self) -> Fix | None:
        name = self._meant()
        return None if name is None else Fix(self.span, name)


@dataclass(frozen=True)
class UnknownName(Diagnostic):
    """An expression names something that is not defined at this place.

        lora(r=rank_of_all) on attn.q

    Define it above with `let` or `param`; inside a method, a formula may name the parameters, the
    tensors and values declared above, and what the kind of site offers (`pefc explain linear` lists
    it).
    """

    name: str
    span: Span
    known: tuple[str, ...]
    hint: str | None = None

    def title(self) -> str:
        return f"`{self.name}` is not defined"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "no such name at this place"),)

    def notes(self) -> tuple[str, ...]:
        few = self.known[:12]
        return (f"known here: {listing(few)}",) if few and len(self.known) <= len(few) else ()

    def help(self) -> str | None:
        value = VALUES.get(self.name)
        if value is not None:
            return f"did you mean `{value}`?"
        return self.hint or suggestion(self.name, self.known)

    def fix(self) -> Fix | None:
        name = VALUES.get(self.name) or nearest(self.name, self.known)
        return None if name is None else Fix(self.span, name)


@dataclass(frozen=True)
class UsedBeforeDefinition(Diagnostic):
    """A constant, tensor or value is used above the place that defines it.

        lora(r=size) on attn.q
        let size = 8

    Definitions are read from top to bottom: move the definition above its first use.
    """

    name: str
    span: Span
    definition: Span

    def title(self) -> str:
        return f"`{self.name}` is used before it is defined"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "used here"), Label(self.definition, "defined here"))

    def help(self) -> str | None:
        return f"move the definition of `{self.name}` above this use"


@dataclass(frozen=True)
class DuplicateDefinition(Diagnostic):
    """A name is defined twice in one file, or in a file and in one that it imports.

        let size = 8
        let size = 16
        lora(r=size) on attn.q

    Give one of them another name.
    """

    name: str
    span: Span
    first: Span

    def title(self) -> str:
        return f"`{self.name}` is defined twice"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "defined again here"), Label(self.first, "first defined here"))

    def help(self) -> str | None:
        return "give one of them another name"


@dataclass(frozen=True)
class ReservedName(Diagnostic):
    """A definition takes a name that the language or its standard library already uses.

        method lora(r: int = 8) on linear {
          B: [out, r] = 0
          A: [r, in] ~ kaiming(sqrt(5))
          weight += B @ A
        }

    A spec must mean the same for everyone who reads it, so these names cannot be given again:
    choose another.
    """

    name: str
    span: Span
    owner: str

    def title(self) -> str:
        return f"`{self.name}` is taken"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"{self.owner} has this name"),)

    def help(self) -> str | None:
        return f"choose another name, for example `my_{self.name}`"


@dataclass(frozen=True)
class CircularDefinition(Diagnostic):
    """A method alias or a recipe leads back to itself.

        method first = second(r=8)
        method second = first(r=8)
        first on attn.q

    Break the circle: one of them must name a method that is defined by a formula.
    """

    names: tuple[str, ...]
    span: Span

    def title(self) -> str:
        return f"`{self.names[0]}` is defined by itself"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"leads back: {' -> '.join(self.names)}"),)

    def help(self) -> str | None:
        return "one of them must be defined by a formula or by statements"


@dataclass(frozen=True)
class AliasOfRecipe(Diagnostic):
    """An alias names a recipe, where it can name a method only.

        method mixed = mam(len=30)
        mixed

    Write a recipe that uses the other one: `recipe mixed() { mam(len=30) }`.
    """

    name: str
    recipe: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` is an alias of a recipe"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"`{self.recipe}` is a recipe, not a method"),)

    def help(self) -> str | None:
        return f"write `recipe {self.name}() {{ {self.recipe} }}`"


@dataclass(frozen=True)
class UnusedConstant(Diagnostic):
    """A warning: a `let` is never used.

        let size = 8
        lora(r=16) on attn.q

    Use it or remove it. A `param` is not reported, since it may serve another file's command line.
    """

    severity: ClassVar[Literal["error", "warning"]] = "warning"

    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` is never used"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "nothing below names it"),)

    def help(self) -> str | None:
        return "remove it, or use it where it was meant"


@dataclass(frozen=True)
class UnknownOverride(Diagnostic):
    """The command line or a config sets a `param` that the spec does not have.

        param r = 8  # checked with --set rank=16
        lora(r=r) on attn.q

    Only a `param` can be set from outside; a `let` cannot.
    """

    name: str
    known: tuple[str, ...]
    constant: Span | None = None
    """The `let` of this name, if there is one."""

    def title(self) -> str:
        return f"there is no `param {self.name}` to set"

    def labels(self) -> tuple[Label, ...]:
        if self.constant is not None:
            return (Label(self.constant, "a `let` cannot be set from outside"),)
        return (Label(None, f"`{self.name}` was given from outside the spec"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the spec has {listing(self.known)}" if self.known else "the spec has no `param`",)

    def help(self) -> str | None:
        if self.constant is not None:
            return f"write `param {self.name} = …` to let it be set"
        return suggestion(self.name, self.known)


@dataclass(frozen=True)
class WrongOverride(Diagnostic):
    """The command line or a config sets a `param` to a value of another type than its default.

        param r = 8  # checked with --set r=wide
        lora(r=r) on attn.q

    The type of the default is the type of the `param`.
    """

    name: str
    given: str
    expected: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` cannot be set to {self.given}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"its default is {self.expected}"),)

    def help(self) -> str | None:
        return f"give {self.expected}"
