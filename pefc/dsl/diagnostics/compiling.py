"""Mistakes that show when a spec meets a model: in formulas, shapes, and what is not compiled."""

from dataclasses import dataclass
from keyword import iskeyword

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class NotLowered(Diagnostic):
    """A formula uses a word that the compiler has no lowering for.

        method thin(r: int = 8, steps: int) on block {
          A: [d, r] ~ kaiming(sqrt(5))
          E: [r]    = 0
          output += sum(E) * norm(A) * y
          shrink r to r // 2 by sensitivity(steps=steps)
        }
        thin(steps=100) on ffn

    `pefc check` accepts the whole language; compiling needs a lowering for each word that a formula
    uses. Write the formula with other words, or choose another method.
    """

    span: Span
    word: str
    statement: Span | None = None

    def title(self) -> str:
        return f"{self.word} has no lowering"

    def labels(self) -> tuple[Label, ...]:
        first = Label(self.span, "the compiler cannot turn this into operations")
        return (first, *_used(self.statement))

    def help(self) -> str:
        return "write the formula without it, or choose another method"


@dataclass(frozen=True, slots=True)
class FormulaFailed(Diagnostic):
    """An expression of a formula has no value at a site: shapes do not fit, an axis does not exist.

        method crossed(r: int = 8) on linear {
          A: [r, in]  ~ normal(0, 1)
          B: [out, r] = 0
          weight += 2 * (A @ B)
        }
        crossed on ffn.up

    Look at the shapes of the declarations: W is [out, in] at every linear site, so this one means
    `B @ A`.
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

        ssf on norm

    Methods on linear maps, blocks, attentions and tokens compile, and so do `tune`, `adapterdrop`,
    tasks, gates, fusion and `quantize`. Methods that change norms, embeddings, convolutions or bare
    tensors do not yet: those are trained as they are, by `tune`. Take the statement out to compile
    the rest.
    """

    span: Span
    what: str

    def title(self) -> str:
        return f"{self.what} cannot be compiled yet"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "this statement has no lowering in this version"),)

    def notes(self) -> tuple[str, ...]:
        return ("methods on linear maps, blocks, attentions and tokens compile, and `tune`",)

    def help(self) -> str:
        return "take the statement out, or wait for a version that lowers it"


@dataclass(frozen=True, slots=True)
class RequirementFailed(Diagnostic):
    """A `require` of a method does not hold at a site.

        boft(size=5) on ffn.up

    This method requires `in % size == 0`, which does not hold where a map reads 24 features. Choose
    other arguments, or narrow the selector.
    """

    span: Span
    statement: Span
    condition: str
    site: str
    values: tuple[tuple[str, object], ...]

    def title(self) -> str:
        return f"`{self.condition}` does not hold at `{self.site}`"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.statement, f"attached here, with `{self.site}` among its sites"),
            Label(self.span, "required by the method"),
        )

    def notes(self) -> tuple[str, ...]:
        known = ", ".join(f"{name} = {value}" for name, value in self.values)
        return (f"there, {known}",) if known else ()

    def help(self) -> str:
        return "choose arguments for which it holds, or narrow the selector"


@dataclass(frozen=True, slots=True)
class WrongSize(Diagnostic):
    """A size that a formula works out at a site is not a positive whole number.

        method thirds(r: int = 8) on linear {
          A: [r / 3, in] = 0
          weight += A.T @ A
        }
        thirds on ffn.up

    Choose arguments that divide, or divide with `//`, which rounds down.
    """

    span: Span
    found: str
    site: str
    statement: Span | None = None

    def title(self) -> str:
        return f"`{self.span.text}` is {self.found} at `{self.site}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "a size is a whole number of at least 1"), *_used(self.statement))

    def help(self) -> str:
        return "choose arguments that divide, or divide with `//`, which rounds down"


@dataclass(frozen=True, slots=True)
class NoBias(Diagnostic):
    """A statement needs a bias where the module has none.

        tune bias on attn.q

    `tune bias` trains biases that exist; it does not add any. A formula that names `b`, or changes
    `bias`, needs one too. Name modules that have a bias; `except` leaves the others out.
    """

    span: Span
    site: str

    def title(self) -> str:
        return f"`{self.site}` has no bias"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"reaches `{self.site}`, whose map has no bias"),)

    def help(self) -> str:
        return "name modules that have a bias; `except` leaves the others out"


@dataclass(frozen=True, slots=True)
class NoWeight(Diagnostic):
    """A method reads the weight W where another one before it left no weight: the output is not
    affine in the input.

        method squashed on linear {
          g: [out] = 0
          output += g * tanh(y)
        }
        squashed on ffn.up
        dora on ffn.up

    Each method sees what the ones above it left. Let the method that reads W stand first.
    """

    span: Span
    label: str
    earlier: Span
    before: str
    path: str

    def title(self) -> str:
        return f"`{self.label}` finds no weight at `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.span, "reads W, as the methods above it left it"),
            Label(self.earlier, f"`{self.before}` makes y no affine function of x"),
        )

    def help(self) -> str:
        return f"let `{self.label}` stand before `{self.before}`"


@dataclass(frozen=True, slots=True)
class LabelTaken(Diagnostic):
    """Two attachments have one label on one site, or a label or the name of a task is that of
    something that the module has.

        lora(r=8) on attn.q, attn.v
        lora(r=4) on attn.{k,v}

    The label names the tensors in the model and in the saved file, after the name of their task if
    they have one; so the first of these must be free. Give another label with `as NAME`, or the
    task another name.
    """

    span: Span
    label: str
    path: str
    earlier: Span | None
    task: str | None = None
    """The task whose name it is."""

    def title(self) -> str:
        if self.task is not None:
            return f"the name of the task `{self.task}` is taken at `{self.path}`"
        return f"`{self.label}` is taken at `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        what = f"`{self.label}`" if self.task is None else f"tensors named `{self.label}.…`"
        first = Label(self.span, f"attaches {what} to `{self.path}`")
        if self.earlier is None:
            return (first,)
        return (first, Label(self.earlier, "attached here before"))

    def notes(self) -> tuple[str, ...]:
        if self.earlier:
            return ()
        if iskeyword(self.label):
            return (f"`{self.label}` is a word of Python, so no attribute can be called so",)
        return (f"the module has a `{self.label}` of its own",)

    def help(self) -> str:
        if self.task is not None:
            return f"give the task another name than `{self.task}`"
        return "name one of them with `as NAME`" if self.earlier else "give another name with `as`"


@dataclass(frozen=True, slots=True)
class TensorNameTaken(Diagnostic):
    """A tensor of a method has a name that every module of torch has for something else.

        method own on linear { half: [out] = 1; output *= half }
        own on attn.q

    Tensors live in the model as attributes of a module, and `half` is one of a module's own words,
    as `train`, `to` and `float` are. Give the tensor another name.
    """

    span: Span
    name: str

    def title(self) -> str:
        return f"a tensor cannot be called `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"every module has a `{self.name}` of its own"),)

    def help(self) -> str:
        return f"give it another name, for example `{self.name}_`"


@dataclass(frozen=True, slots=True)
class NeverCalled(Diagnostic):
    """A method is attached to a module whose forward the model never runs, so it would have no
    effect and never train.

    Some modules only hold a weight that another one reads: `out_proj` of `nn.MultiheadAttention` is
    one. Others are not used at all, as a pooler without a head. A model that cannot be traced is
    run once to find out, a copy of it in evaluation mode, with inputs that are made up. Leave the
    module out of the selector.
    """

    span: Span
    path: str
    reader: str | None = None
    """The path of the module that reads its weight; "" for the model itself."""

    def title(self) -> str:
        return f"`{self.path}` is never called"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"reaches `{self.path}`, where a method would not run"),)

    def notes(self) -> tuple[str, ...]:
        if self.reader is None:
            return ("no part of it is used when the model runs in evaluation mode",)
        reader = f"`{self.reader}`" if self.reader else "the model"
        return (f"its weight is read by {reader}, past its forward",)

    def help(self) -> str:
        return f'leave it out, for example with `except "{self.path}"`'


@dataclass(frozen=True, slots=True)
class TiedTune(Diagnostic):
    """A parameter is to train that another module uses too, and the statement does not name that
    module.

        tune on embed

    Tied embeddings and heads share one weight: training one trains the other. Name both,
    `tune on head, embed`, to train the shared weight, or leave it frozen.
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
