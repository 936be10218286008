"""Mistakes that show when selectors meet a model."""

from dataclasses import dataclass

from ..syntax.source import Span
from ..syntax.vocabulary import ROLES
from .report import Diagnostic, Fix, Label
from .suggestions import listing, nearest
from .synonyms import meant


@dataclass(frozen=True)
class UnmatchedSelector(Diagnostic):
    """A term of a selector matches nothing in the model.

        lora(r=8) on attn.qery, attn.v

    A bare word that is in the table of roles is a role, anything else is the end of a module path.
    `pefc roles MODEL` prints what there is. Mark a term with `?` if it may match nothing.
    """

    span: Span
    term: str
    model: str
    instead: str
    known: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.term}` matches nothing in {self.model}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self._missing()),)

    def _missing(self) -> str:
        """What there is none of."""
        if self.term.startswith(":"):
            return "no module has this class"
        if self.span.text.startswith('"'):
            return "no module path ends in this"
        family, _, role = self.term.partition(".")
        if family in ROLES and (not role or role in ROLES[family]):
            return "no module has this role"
        return "no role and no module path ends in this"

    def notes(self) -> tuple[str, ...]:
        return (self.instead,)

    def help(self) -> str:
        name = self._meant()
        if name is not None:
            return f"did you mean `{name}`?"
        return "print what there is with `pefc roles`, or mark the term with `?`"

    def _meant(self) -> str | None:
        return meant(self.term, self.known) or nearest(self.term, self.known)

    def fix(self) -> Fix | None:
        """The nearest name in the place of the term, if the term stands there as it is."""
        name = self._meant()
        if name is None or self.term not in {self.span.text, self.span.text.strip('"')}:
            return None
        is_role = name == meant(self.term, self.known)  # which stands without quotes
        return Fix(self.span, name if is_role else self.span.text.replace(self.term, name))


@dataclass(frozen=True)
class OtherLayers(Diagnostic):
    """A term matches, but only in layers that `in layers` leaves out, or outside of all layers.

        lora(r=8) on layers.1.** in layers 0

    `moe.router in layers 0..2` is such a mistake too where the first layers of a mixture are dense.
    Widen the range, or mark the term with `?`.
    """

    span: Span
    term: str
    layers: tuple[int, ...]

    def title(self) -> str:
        return f"`{self.term}` matches nothing in these layers"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "what this names is elsewhere"),)

    def notes(self) -> tuple[str, ...]:
        if not self.layers:
            return (f"`{self.term}` is outside of the layers",)
        word = "layer" if len(self.layers) == 1 else "layers"
        return (f"`{self.term}` is in {word} {ranges(self.layers)}",)

    def help(self) -> str:
        if not self.layers:
            return f"name `{self.term}` in a statement without `in layers`"
        return "widen the layers, or mark the term with `?`"


@dataclass(frozen=True)
class NoSuchSite(Diagnostic):
    """A term matches modules, but they neither are nor hold what the method attaches to.

        lora(r=8) on attn.q, norm

    The kind of site stands after `on` in the definition of the method; `pefc explain METHOD`
    prints it. A module with a forward of its own, or whose weight is worked out at each call, is no
    linear map, whatever class it derives from.
    """

    span: Span
    term: str
    kinds: tuple[str, ...]
    """The kinds that were asked for."""
    found: tuple[str, ...] = ()
    """The kinds of the sites that are there."""
    instead: tuple[str, ...] = ()
    """The roles that the model has for these kinds."""
    closed: tuple[str, str] | None = None
    """A module among them that looks like a linear map, and why it is no site."""

    def title(self) -> str:
        return f"`{self.term}` has no site of the kind {_either(self.kinds)}"

    def labels(self) -> tuple[Label, ...]:
        if not self.found:
            return (Label(self.span, "holds no site at all"),)
        return (Label(self.span, f"is or holds {listing(self.found)}"),)

    def notes(self) -> tuple[str, ...]:
        if self.closed is not None:
            path, why = self.closed
            return (f"`{path}` {why}, so no formula can say what to change",)
        if self.term == "linear":
            return ("`linear` is every linear map inside the layers, without heads",)
        if "param" in self.found:
            return ("`param` is a bare tensor, as those of stacked experts are",)
        return ("a method attaches to a module of its kind, or to those inside what is named",)

    def help(self) -> str:
        kinds = _either(self.kinds)
        if self.closed is not None:
            return (
                f"make it an `nn.Linear` with a weight of its own, or name others that are {kinds}"
            )
        if self.instead:
            return f"name {_either(self.instead)}, or mark the term with `?`"
        return f"name modules that are {kinds} or hold some, or mark the term with `?`"


@dataclass(frozen=True)
class EmptySelection(Diagnostic):
    """Every term matches something, and yet nothing is left: by `&`, `except` or `where`.

        lora(r=8) on attn.q & ffn.up

    Look at the terms one by one with `pefc plan`.
    """

    span: Span
    model: str

    def title(self) -> str:
        return f"this selects nothing in {self.model}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "each term matches, but together they leave nothing"),)

    def help(self) -> str:
        return "loosen `&`, `except` or `where`"


@dataclass(frozen=True)
class LayerOutOfRange(Diagnostic):
    """A layer range goes beyond the layers of the model.

        lora(r=8) on attn.q in layers 0..99

    Layers count from 0, or from -1 backwards; both ends are included.
    """

    span: Span
    layer: int
    count: int

    def title(self) -> str:
        return f"there is no layer {self.layer}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "the model has no such layer"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the model has the layers 0..{self.count - 1}, or -{self.count}..-1",)


@dataclass(frozen=True)
class NoLayers(Diagnostic):
    """`in layers` or `all layers`, in a model in which no layers were found.

        lora(r=8) on linear in layers 0..3

    Leave the clause out, and name modules by path or class.
    """

    span: Span
    model: str

    def title(self) -> str:
        return f"{self.model} has no layers"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "no blocks of the model repeat"),)

    def help(self) -> str:
        return "leave the clause out, and name modules by path or class"


@dataclass(frozen=True)
class MissingFact(Diagnostic):
    """`where` names a fact that a selected site does not have.

        lora(r=8) on ffn.up where heads > 8

    A linear site has `in`, `out` and `layer`.
    """

    span: Span
    fact: str
    path: str

    def title(self) -> str:
        return f"`{self.path}` has no `{self.fact}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "not a fact of this kind of site"),)

    def notes(self) -> tuple[str, ...]:
        return ("a linear site has `in`, `out` and `layer`",)


@dataclass(frozen=True)
class ExpectMismatch(Diagnostic):
    """`expect N` stands, and the selection has another number of sites.

        lora(r=8) on attn.q expect 12

    `pefc plan` prints what each term matched.
    """

    span: Span
    expected: int
    found: int

    def title(self) -> str:
        return f"{self.expected} sites were expected, {self.found} are selected"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"this reaches {self.found} sites"),)

    def help(self) -> str:
        return f"mend the selector, or write `expect {self.found}`"


def ranges(layers: tuple[int, ...]) -> str:
    """`0..2, 5`."""
    runs: list[list[int]] = []
    for layer in sorted(layers):
        if runs and layer == runs[-1][-1] + 1:
            runs[-1].append(layer)
        else:
            runs.append([layer])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)


def _either(names: tuple[str, ...]) -> str:
    """Names as a choice."""
    return listing(names).replace(" and ", " or ")


@dataclass(frozen=True, slots=True)
class TooManyAlternatives(Diagnostic):
    """The braces of a selector stand for more patterns than any model has use for.

        lora on {a,b,c,d}{a,b,c,d}{a,b,c,d}{a,b,c,d}{a,b,c,d}{a,b,c,d}

    Each pair multiplies them. Write `*` for what may be anything.
    """

    span: Span
    most: int

    def title(self) -> str:
        return f"this stands for more than {self.most} patterns"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "each pair of braces multiplies them"),)

    def help(self) -> str:
        return "write `*` for what may be anything"
