"""Mistakes in the arguments of a method, recipe or modifier."""

from dataclasses import dataclass

from ..syntax.source import Span
from ..syntax.vocabulary import SYNONYMS
from .report import Diagnostic, Fix, Label
from .suggestions import listing, nearest, suggestion
from .synonyms import ARGUMENTS


@dataclass(frozen=True, slots=True)
class UnfitText(Diagnostic):
    """A text cannot be turned into embeddings of the model.

        prompt(len=8, init="")

    It gives no token, the tokenizer is that of another model and knows more words, or it fails: it
    raises something, or what it gives are no whole numbers.
    """

    span: Span
    reason: str

    def title(self) -> str:
        return "this text cannot be embedded"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self.reason),)

    def help(self) -> str:
        return "write a text, and pass the tokenizer of this model"


@dataclass(frozen=True, slots=True)
class NoTokenizer(Diagnostic):
    """An initial value is made from a text, and nothing says how the model reads texts.

        prompt(len=8, init="is this review good or bad?")

    Give the model's tokenizer: `pefc.apply(spec, model, tokenizer=tokenizer)`. The commands read it
    from the model's folder.
    """

    span: Span

    def title(self) -> str:
        return "a text has to be tokenized, and there is no tokenizer"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "starts from the embeddings of this text"),)

    def help(self) -> str:
        return "pass `tokenizer=` to `pefc.apply`, or keep it in the model's folder"


@dataclass(frozen=True)
class UnknownArgument(Diagnostic):
    """A method is given an argument that it does not have.

        lora(rank=8) on attn.q

    `pefc explain METHOD` shows the parameters of a method. Names that other tools use (`rank`,
    `lora_alpha`) are answered with ours, and what is no parameter here (`target_modules`,
    `modules_to_save`, `use_dora`) with what to write.
    """

    method: str
    name: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.method}` has no parameter `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "unknown parameter"),)

    def notes(self) -> tuple[str, ...]:
        if not self.known:
            return (f"`{self.method}` has no parameters",)
        return (f"`{self.method}` has {listing(self.known)}",)

    def help(self) -> str | None:
        name = self._meant()
        return ARGUMENTS.get(self.name) if name is None else f"did you mean `{name}`?"

    def fix(self) -> Fix | None:
        name = self._meant()
        return None if name is None else Fix(self.span, name)

    def _meant(self) -> str | None:
        synonym = SYNONYMS.get(self.name)
        if synonym in self.known:
            return synonym
        return None if self.name in ARGUMENTS else nearest(self.name, self.known)


@dataclass(frozen=True)
class RepeatedArgument(Diagnostic):
    """A parameter is given twice, by keyword or by keyword and by position.

        lora(r=8, r=16) on attn.q

    Remove one of the two.
    """

    name: str
    span: Span
    first: Span

    def title(self) -> str:
        return f"`{self.name}` is given twice"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "given again here"), Label(self.first, "first given here"))

    def help(self) -> str | None:
        return "remove one of the two"


@dataclass(frozen=True)
class FixedArgument(Diagnostic):
    """An alias is given an argument that it fixes itself.

        rslora(r=8, stable=false) on attn.q

    Use the method behind the alias to choose that argument.
    """

    alias: str
    name: str
    base: str
    span: Span

    def title(self) -> str:
        return f"`{self.alias}` fixes `{self.name}` itself"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "cannot be given here"),)

    def help(self) -> str | None:
        return f"use `{self.base}`, of which `{self.alias}` is an alias"


@dataclass(frozen=True)
class TooManyArguments(Diagnostic):
    """A method is given more arguments by position than it has parameters.

        ia3(output, 3) on attn.k

    `pefc explain METHOD` shows the parameters and their order.
    """

    method: str
    most: int
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        count = "1 argument" if self.most == 1 else f"{self.most} arguments"
        return f"`{self.method}` takes at most {count}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "one too many"),)

    def notes(self) -> tuple[str, ...]:
        return (f"its parameters are {listing(self.known)}",) if self.known else ()


@dataclass(frozen=True)
class PositionalAfterKeyword(Diagnostic):
    """An argument by position follows one by keyword, so that its parameter is anybody's guess.

        lora(r=8, 16) on attn.q

    Give it by keyword. Members of enumerations and names of bool parameters may stand anywhere.
    """

    method: str
    span: Span
    known: tuple[str, ...]
    """The parameters that are still free."""

    def title(self) -> str:
        return "an argument by position follows one by keyword"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "which parameter this is, is unclear"),)

    def help(self) -> str | None:
        if not self.known:
            return None
        return f"write `{self.known[0]}={self.span.text}`, if that is what it is"


@dataclass(frozen=True)
class MissingArgument(Diagnostic):
    """A parameter without a default is not given.

        adapterdrop() {
          adapter on ffn
        }

    Give it.
    """

    method: str
    name: str
    type: str
    span: Span
    meaning: str | None = None

    def title(self) -> str:
        return f"`{self.method}` needs `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"`{self.name}` is not given"),)

    def notes(self) -> tuple[str, ...]:
        meaning = "" if self.meaning is None else f": {self.meaning}"
        return (f"`{self.name}` is {self.type}{meaning}",)


@dataclass(frozen=True)
class WrongType(Diagnostic):
    """A value is of another type than its parameter.

        lora(r="x") on attn.q

    Types are `int`, `float`, `prob` (at least 0 and below 1), `bool`, `string`, `range` (`0..5`),
    `list` and enumerations.
    """

    name: str
    expected: str
    given: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` must be {self.expected}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"this is {self.given}"),)


@dataclass(frozen=True)
class UnknownMember(Diagnostic):
    """A value is not a member of the enumeration that its parameter takes.

        adapter(form=paralel) on ffn

    The note lists the members. Where the enumeration ends in `"text"`, any text may be given too,
    in quotes: `prompt(init="Classify the review:")`.
    """

    name: str
    given: str
    span: Span
    members: tuple[str, ...]
    text: bool = False
    """Whether any string may be given as well."""

    def title(self) -> str:
        return f"`{self.name}` cannot be {self.given}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"not a value of `{self.name}`"),)

    def notes(self) -> tuple[str, ...]:
        if self.text:
            return (f"`{self.name}` is one of {listing(self.members)}, or any text in quotes",)
        return (f"`{self.name}` is one of {listing(self.members)}",)

    def help(self) -> str | None:
        return suggestion(self.span.text, self.members)

    def fix(self) -> Fix | None:
        name = nearest(self.span.text, self.members)
        return None if name is None else Fix(self.span, name)


@dataclass(frozen=True)
class NotPositive(Diagnostic):
    """A size is zero or negative.

        lora(r=-3) on attn.q

    A parameter that a method uses as a size of a tensor must be an integer of at least 1.
    """

    name: str
    given: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` must be at least 1"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"this is {self.given}"),)

    def notes(self) -> tuple[str, ...]:
        return (f"`{self.name}` is the size of a tensor",)


@dataclass(frozen=True)
class NotProbability(Diagnostic):
    """A probability is below 0, or 1 and above.

        lora(r=8, dropout=1.5) on attn.q

    A dropout of 1 would drop everything: 0 ≤ p < 1 holds for every `prob`.
    """

    name: str
    given: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` must be a probability"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"this is {self.given}"),)

    def notes(self) -> tuple[str, ...]:
        return ("a probability is at least 0 and below 1",)
