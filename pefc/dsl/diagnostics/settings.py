"""Mistakes in what follows `with`."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label
from .suggestions import listing, suggestion


@dataclass(frozen=True)
class UnknownSetting(Diagnostic):
    """`with` sets something other than `lr`, `decay` or `dtype`.

        lora(r=8) on attn.q with learning_rate=10x

    `lr` is a factor of the learning rate (`10x`) or a rate, `decay` the weight decay, `dtype` the
    dtype of new tensors; `lr.B` speaks of one tensor.
    """

    name: str
    span: Span
    known: tuple[str, ...]
    meant: str | None

    def title(self) -> str:
        return f"there is no setting `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "unknown setting"),)

    def notes(self) -> tuple[str, ...]:
        return (f"the settings are {listing(self.known)}",)

    def help(self) -> str | None:
        return None if self.meant is None else f"did you mean `{self.meant}`?"


@dataclass(frozen=True)
class RepeatedSetting(Diagnostic):
    """One setting is given twice in a statement.

        lora(r=8) on attn.q with lr=10x, lr=2x

    Remove one of the two.
    """

    name: str
    span: Span
    first: Span

    def title(self) -> str:
        return f"`{self.name}` is set twice"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "set again here"), Label(self.first, "first set here"))


@dataclass(frozen=True)
class NegativeSetting(Diagnostic):
    """A learning rate or weight decay is negative.

        lora(r=8) on attn.q with decay=-0.1

    Rates and factors are at least 0.
    """

    name: str
    given: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` must be at least 0"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"this is {self.given}"),)


@dataclass(frozen=True)
class UnknownTensor(Diagnostic):
    """A setting speaks of a tensor that the method does not train.

        lora(r=8) on attn.q with lr.C=16x

    `pefc explain METHOD` shows the tensors of a method.
    """

    method: str
    tensor: str
    span: Span
    known: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.method}` trains no tensor `{self.tensor}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "unknown tensor"),)

    def notes(self) -> tuple[str, ...]:
        return (f"`{self.method}` trains {listing(self.known)}",) if self.known else ()

    def help(self) -> str | None:
        return suggestion(self.tensor, self.known)


@dataclass(frozen=True)
class DtypeOfBase(Diagnostic):
    """A statement that trains the model's own parameters asks for another dtype.

        tune on norm with dtype=fp32

    `dtype` is that of tensors which a method adds. The parameters of the model have the dtype in
    which it was read: `from_pretrained(…, dtype=torch.float32)` reads it in another one.
    """

    name: str
    span: Span

    def title(self) -> str:
        return f"`{self.name}` adds no tensor that could have a dtype"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "the model's own parameters train"),)

    def notes(self) -> tuple[str, ...]:
        return ("they keep the dtype in which the model was read",)

    def help(self) -> str | None:
        return "take this setting out"


@dataclass(frozen=True)
class DtypeOfTensor(Diagnostic):
    """A setting gives one tensor of a statement a dtype of its own.

        lora(r=8) on attn.q with dtype.B=bf16

    What a statement trains has one dtype: `with dtype=bf16`.
    """

    tensor: str
    span: Span

    def title(self) -> str:
        return f"`{self.tensor}` cannot have a dtype of its own"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "`dtype` is that of a whole statement"),)

    def help(self) -> str | None:
        return "name no tensor: `with dtype=bf16`"
