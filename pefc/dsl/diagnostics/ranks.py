"""Mistakes in the allocation of ranks."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..syntax.source import Span
from .report import Diagnostic, Label
from .suggestions import listing


@dataclass(frozen=True, slots=True)
class NothingToShrink(Diagnostic):
    """`shrink r` finds no tensor with one number for each rank, or more than one, or a tensor that
    cannot be cut.

        method thinning(r: int = 8, steps: int) on linear {
          A: [r, in]  ~ kaiming(sqrt(5))
          B: [out, r] = 0
          weight += B @ A
          shrink r to r // 2 by sensitivity(steps=steps)
        }
        thinning(steps=100) on ffn.up

    A rank is switched off by a zero, so that exactly one trained tensor has the shape `[r]` or `[r,
    1]`, and stands as a factor in the formula: `weight += B @ (E * A)`. The other tensors have the
    axis once, and belong to one site.
    """

    span: Span
    statement: Span
    dim: str
    found: tuple[str, ...]
    uncut: str | None = None

    def title(self) -> str:
        if self.uncut is not None:
            return f"`{self.uncut}` cannot lose ranks of `{self.dim}`"
        if self.found:
            return f"{listing(self.found)} have one number for each rank of `{self.dim}`"
        return f"no tensor has one number for each rank of `{self.dim}`"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.statement, "attached here"),
            Label(self.span, "which should be switched off by it"),
        )

    def help(self) -> str:
        dim = self.dim
        if self.uncut is not None:
            return f"declare it without `per`, with one axis `{dim}`"
        return f"let one trained tensor be `[{dim}]` or `[{dim}, 1]`, as a factor of the others"


@dataclass(frozen=True, slots=True)
class WrongSchedule(Diagnostic):
    """A number of `shrink` makes no sense: a step that is none, more ranks than there are, other
    steps at other sites.

        adalora(steps=100, every=0) on ffn.up

    Steps are whole numbers, and there are more of them than `start` and `settle` take together; the
    smoothing of averages is at least 0 and below 1.
    """

    span: Span
    statement: Span
    name: str
    wanted: str
    found: str

    def title(self) -> str:
        return f"{self.name} must be {self.wanted}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.statement, "attached here"), Label(self.span, self.found))


@dataclass(frozen=True, slots=True)
class UnfinishedShrinking(Diagnostic):
    """A warning: an adapter is saved or merged, with the ranks that it has now, before the last of
    them were allocated.

        adalora(r=12, target=8, steps=1000) on attn.q    # saved after 400 steps

    Ranks are allocated until step `steps - settle`. `pefc.save(model, folder, resume=True)` keeps
    all of them, with the averages, so that the training can go on; of a merged model it cannot.
    """

    severity: ClassVar[Literal["error", "warning"]] = "warning"

    span: Span
    label: str
    step: int
    last: int
    ranks: int
    target: int
    what: Literal["saved", "merged"] = "saved"

    def title(self) -> str:
        return f"`{self.label}` is {self.what} before its ranks are allocated"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"step {self.step} of {self.last}"),)

    def notes(self) -> tuple[str, ...]:
        return (f"it has {self.ranks} ranks now, and {self.target} at the end",)

    def help(self) -> str:
        first = (
            "merge at the end"
            if self.what == "merged"
            else "save with `resume=True` to go on later"
        )
        return f"{first}, or give the number of steps that there are"
