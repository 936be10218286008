"""Mistakes in what `pefc plan --train` is given, and models of which it cannot tell."""

from dataclasses import dataclass

from ..nearest import listing
from .core import Diagnostic, Label


@dataclass(frozen=True)
class UnknownTrainKey(Diagnostic):
    """`pefc plan --train` is given a key that it does not know.

        pefc plan train.peft model --train batch=4,length=512

    It knows `batch`, `len`, `dtype`, `optimizer`, and the words `checkpointing` and `padding`,
    which stand alone; commas are between them.
    """

    key: str
    known: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"`--train` has no `{self.key}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"it has {listing(self.known)}"),)

    def help(self) -> str:
        if self.near is not None:
            return f"did you mean `{self.near}`?"
        return "write it like `--train batch=4,len=512,dtype=bf16,checkpointing`"


@dataclass(frozen=True)
class UnfitTrainValue(Diagnostic):
    """`pefc plan --train` is given a value that its key does not take, or a key twice.

        pefc plan train.peft model --train batch=four,len=512

    `batch` and `len` take whole numbers up to 2 ** 24, `dtype` one of `bf16`, `fp16` and `fp32`,
    and `optimizer` one that `pefc.optimizer` knows. `checkpointing` and `padding` take nothing.
    """

    text: str
    key: str
    wanted: str

    def title(self) -> str:
        return f"`--train` cannot read `{self.text}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"`{self.key}` takes {self.wanted}"),)

    def help(self) -> str:
        return "write it like `--train batch=4,len=512,dtype=bf16,checkpointing`"


@dataclass(frozen=True)
class NotEstimated(Diagnostic):
    """The memory of a step of training cannot be told, since the step needs the values of tensors.

        pefc plan train.peft model --train batch=4,len=512

    The step is run on tensors that have sizes and no values. A forward whose course depends on
    values cannot be run so, nor can one whose inputs are unknown.
    """

    model: str
    reason: str

    def title(self) -> str:
        return f"how much memory it takes to train this {self.model} cannot be told"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "leave `--train` out, and measure a step of training"
