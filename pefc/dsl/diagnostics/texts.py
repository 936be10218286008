"""Mistakes with texts that initial values are made from."""

from dataclasses import dataclass

from ..source import Span
from .core import Diagnostic, Label


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
