"""Mistakes that show when a spec meets a model: in formulas, shapes, and what is not compiled."""

from dataclasses import dataclass

from ..source import Span
from .core import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class NotLowered(Diagnostic):
    """A formula uses a word that the compiler has no lowering for.

    `pefc check` accepts the whole language; compiling needs a lowering for each word that a formula uses.
    Write the formula with other words, or leave the method out.
    """

    span: Span
    word: str
    statement: Span | None = None

    def title(self) -> str:
        return f"{self.word} has no lowering"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "the compiler cannot turn this into operations"), *_used(self.statement))

    def help(self) -> str:
        return "write the formula with words that `pefc methods` shows in use"


@dataclass(frozen=True, slots=True)
class FormulaFailed(Diagnostic):
    """An expression of a formula has no value at a site: shapes do not fit, an axis does not exist.

    For example `A @ W` with A: [r, in] and W: [out, in]. Check the shapes of the declarations: W is always [out, in].
    """

    span: Span
    reason: str
    statement: Span | None = None

    def title(self) -> str:
        return f"`{_short(self.span.text)}` has no value at this site"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self.reason), *_used(self.statement))

    def notes(self) -> tuple[str, ...]:
        return ("W is [out, in] at every linear site, x is [..., in], y is [..., out]",)


@dataclass(frozen=True, slots=True)
class NotCompiled(Diagnostic):
    """A statement that parses and checks, but that this version cannot compile.

    Methods on linear sites, and `tune`, compile. Blocks, attention, tokens, tasks, gates, fusion and quantization do not yet.
    Take the statement out to compile the rest.
    """

    span: Span
    what: str

    def title(self) -> str:
        return f"{self.what} cannot be compiled yet"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "this statement has no lowering in this version"),)

    def notes(self) -> tuple[str, ...]:
        return ("methods on linear sites and `tune` statements compile",)

    def help(self) -> str:
        return "take the statement out, or wait for a version that lowers it"


@dataclass(frozen=True, slots=True)
class RequirementFailed(Diagnostic):
    """A `require` of a method does not hold at a site.

    For example `require in % r == 0` on a layer with 100 inputs and r=8. Choose other arguments, or narrow the selector.
    """

    span: Span
    statement: Span
    condition: str
    site: str

    def title(self) -> str:
        return f"`{self.condition}` does not hold at `{self.site}`"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.statement, f"attached here, with `{self.site}` among its sites"),
            Label(self.span, "required by the method"),
        )

    def help(self) -> str:
        return "choose arguments for which it holds, or narrow the selector"


@dataclass(frozen=True, slots=True)
class WrongSize(Diagnostic):
    """A size that a formula works out at a site is not a positive whole number.

    For example `A: [r / 3, in]` with r=8.
    """

    span: Span
    found: str
    site: str
    statement: Span | None = None

    def title(self) -> str:
        return f"`{self.span.text}` is {self.found} at `{self.site}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "a size is a whole number of at least 1"), *_used(self.statement))


@dataclass(frozen=True, slots=True)
class NoBias(Diagnostic):
    """A statement needs a bias where the module has none.

    `tune bias` trains biases that exist; it does not add any. A formula that names `b`, or changes `bias`, needs one too.
    Narrow the selector, or mark the sites with `where bias`.
    """

    span: Span
    site: str

    def title(self) -> str:
        return f"`{self.site}` has no bias"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"reaches `{self.site}`, whose map has no bias"),)

    def help(self) -> str:
        return "narrow the selector to modules with a bias, for example with `where bias`"


@dataclass(frozen=True, slots=True)
class LabelTaken(Diagnostic):
    """Two attachments have one label on one site, or a label is the name of something that the module has.

    The label names the tensors in the model and in the saved file, so it must be free. Give another with `as NAME`.
    """

    span: Span
    label: str
    path: str
    earlier: Span | None

    def title(self) -> str:
        return f"`{self.label}` is taken at `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        first = Label(self.span, f"attaches `{self.label}` to `{self.path}`")
        if self.earlier is None:
            return (first,)
        return (first, Label(self.earlier, "attached here before"))

    def help(self) -> str:
        return "name one of them with `as NAME`"


@dataclass(frozen=True, slots=True)
class NeverCalled(Diagnostic):
    """A method is attached to a module whose forward the model never runs, so it would have no effect and never train.

    Some modules are only holders of a weight that another one reads: `out_proj` of `nn.MultiheadAttention` is one. Others
    are not used at all, as a pooler without a head. Leave the module out of the selector.
    """

    span: Span
    path: str

    def title(self) -> str:
        return f"`{self.path}` is never called"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"reaches `{self.path}`, where a method would not run"),)

    def notes(self) -> tuple[str, ...]:
        return ("its weight is read by another module, or not at all, when the model runs",)

    def help(self) -> str:
        return f'leave it out, for example with `except "{self.path}"`'


@dataclass(frozen=True, slots=True)
class TiedTune(Diagnostic):
    """A parameter is to train that another module uses too, and the statement does not name that module.

    Tied embeddings and heads share one weight: training one trains the other. Name both, `tune on head, embed`, to train
    the shared weight, or leave it frozen.
    """

    span: Span
    path: str
    other: str

    def title(self) -> str:
        return f"`{self.path}` shares its weight with `{self.other}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"trains `{self.other}` too, which it does not name"),)

    def help(self) -> str:
        return f'name both, `tune on "{self.path}", "{self.other}"`, or leave it frozen'


def _used(statement: Span | None) -> tuple[Label, ...]:
    return () if statement is None else (Label(statement, "used here"),)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 40 else line[:37] + "..."
