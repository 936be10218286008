"""What shows in the first steps of an optimizer."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class Idle:
    """Tensors of one statement that do not train, for one reason."""

    span: Span
    reason: str
    paths: tuple[str, ...]


_REASONS = {
    "frozen": ("does not require a gradient", "`requires_grad_(False)` was called after the spec"),
    "unheld": (
        "is in no optimizer that steps",
        "make the optimizer after `pefc.apply`, as `pefc.optimizer(model, lr=…)` does",
    ),
    "unreached": (
        "has had no gradient",
        "the loss does not depend on it: its module does not run, or what it gives is cut off",
    ),
    "zero": (
        "has had gradients of nothing but zeros",
        "what it is multiplied by stays at zero, or no token has reached it",
    ),
    "infinite": (
        "has had gradients that are not finite",
        "a smaller learning rate, a scaled loss or `bf16` in the place of `fp16` may help",
    ),
    "unmoved": (
        "has not moved",
        "its learning rate is 0, or steps are too small for its dtype: `with dtype=fp32`",
    ),
}
"""What is said of a tensor, and what may help."""


@dataclass(frozen=True, slots=True)
class TrainedInVain(Diagnostic):
    """Something that should train does not, after the first steps of an optimizer.

        optimizer = AdamW(model.parameters())
        pefc.apply("lora(r=8) on attn.q", model)

    Each tensor that a spec trains is to have a gradient that is finite and not zero, and to move,
    within the first eight steps in which its task runs. The label says what is missing: the tensor
    is in no optimizer, its module never runs, the loss does not depend on it, its learning rate is
    0. It is said once, by one process.
    """

    model: str
    steps: int
    idle: tuple[Idle, ...]
    severity: ClassVar[Literal["error", "warning"]] = "warning"

    def title(self) -> str:
        count = sum(len(each.paths) for each in self.idle)
        what = "a tensor" if count == 1 else f"{count} tensors"
        verb = "does" if count == 1 else "do"
        return f"{what} of this {self.model} that should train {verb} not, after {self.steps} steps"

    def labels(self) -> tuple[Label, ...]:
        said: dict[Span, list[str]] = {}
        for each in self.idle:
            text = f"{_counted(each.paths)} {_REASONS[each.reason][0]}"
            said.setdefault(each.span, []).append(text)
        return tuple(Label(span, "; ".join(texts)) for span, texts in said.items())

    def notes(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_REASONS[each.reason][1] for each in self.idle))


def _counted(paths: tuple[str, ...]) -> str:
    """One tensor, and how many others."""
    others = len(paths) - 1
    return f"`{paths[0]}`" + (f", as {others} more," if others else "")
