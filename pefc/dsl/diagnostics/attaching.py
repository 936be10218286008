"""Mistakes that show when a plan is applied to a model, merged, or taken out again."""

from dataclasses import dataclass

from ..source import Span
from .core import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class NothingAttached(Diagnostic):
    """`save`, `merge` or `remove` was called on a model to which no spec is applied.

    Apply one first, or load a saved adapter.
    """

    model: str

    def title(self) -> str:
        return f"nothing is attached to this {self.model}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "the model is as its author made it"),)

    def help(self) -> str:
        return "apply a spec with `pefc.apply`, or load an adapter with `pefc.load`"


@dataclass(frozen=True, slots=True)
class AlreadyAttached(Diagnostic):
    """A spec is applied to a model that carries one.

    One spec holds everything that is attached, so that it saves, loads and comes out as one. Put both into one spec, or
    fold the first into the model with `pefc.merge`, or take it out with `pefc.remove`.
    """

    model: str
    spec: str

    def title(self) -> str:
        return f"this {self.model} has a spec applied to it"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"`{self.spec}` is attached"),)

    def help(self) -> str:
        return "put both into one spec, or call `pefc.merge` or `pefc.remove` first"


@dataclass(frozen=True, slots=True)
class ForwardReplaced(Diagnostic):
    """A module's `forward` was replaced on the instance, so a patch of its class would never run.

    Accelerate's hooks and some profilers do this. Apply the spec first, then add the hooks.
    """

    span: Span
    path: str

    def title(self) -> str:
        return f"`forward` of `{self.path}` was replaced on the module itself"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"attaches to `{self.path}`, where it would have no effect"),)

    def help(self) -> str:
        return "apply the spec before hooks are added"


@dataclass(frozen=True, slots=True)
class NotTraced(Diagnostic):
    """The graph of a model was asked for, and the model cannot be exported as one graph, or not with all sites in it.

    A forward that branches on values, or code that `torch.export` does not follow, has no graph. The live model is patched
    all the same: use `apply`.
    """

    model: str
    reason: str

    def title(self) -> str:
        return f"{self.model} has no whole graph"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "use `apply`, which patches the living modules, or make the forward exportable"


@dataclass(frozen=True, slots=True)
class NotAffine(Diagnostic):
    """A method is merged whose output is not an affine function of the input, so no weight and bias can stand for it.

    `pefc plan` shows which methods merge. Leave the method attached, or save it as an adapter.
    """

    span: Span
    method: str
    path: str

    def title(self) -> str:
        return f"`{self.method}` at `{self.path}` does not merge"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "y is not affine in x with this method"),)

    def help(self) -> str:
        return "leave it attached; `pefc plan` shows what merges"


@dataclass(frozen=True, slots=True)
class NoBiasToMerge(Diagnostic):
    """A method adds a constant to the output of a map that has no bias, so there is nothing to fold the constant into.

    Leave it attached, or narrow the selector to modules with a bias.
    """

    span: Span
    path: str

    def title(self) -> str:
        return f"`{self.path}` has no bias to merge into"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "adds a constant to the output"),)

    def help(self) -> str:
        return "leave it attached, or choose sites with `where bias`"


@dataclass(frozen=True, slots=True)
class LossyMerge(Diagnostic):
    """The base weight is stored so coarsely that part of the update would be lost in the merge.

    In bfloat16 a change smaller than half a step of a weight disappears. The loss is ‖kept − update‖ / ‖update‖.
    Merge into a model in 32 bits, or accept the loss by name: `pefc.merge(model, loss=0.2)`.
    """

    span: Span
    path: str
    lost: float
    dtype: str

    def title(self) -> str:
        return f"merging would lose {self.lost:.1%} of the update of `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"its change is small beside the steps of {self.dtype}"),)

    def help(self) -> str:
        return f"convert the model with `.float()` first, or accept it with `loss={_rounded_up(self.lost)}`"


@dataclass(frozen=True, slots=True)
class NotFinite(Diagnostic):
    """A merge would write values that are no numbers, or infinite, into the base weight.

    Training diverged, or a tensor overflowed. Load an earlier adapter, or take this one out with `pefc.remove`.
    """

    span: Span
    path: str

    def title(self) -> str:
        return f"merging into `{self.path}` gives values that are not finite"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "its tensors hold NaN or infinity, or overflow"),)

    def help(self) -> str:
        return "load an earlier adapter, or call `pefc.remove`"


@dataclass(frozen=True, slots=True)
class TiedMerge(Diagnostic):
    """A merge would change a weight that another module uses too.

    Tied embeddings and heads share one tensor. Leave the method attached, or untie the weights first.
    """

    span: Span
    path: str
    other: str

    def title(self) -> str:
        return f"`{self.path}` shares its weight with `{self.other}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"merging it would change `{self.other}` too"),)

    def help(self) -> str:
        return "leave it attached, or untie the weights first"


def _rounded_up(share: float) -> float:
    return min(1.0, round(share + 0.05, 1)) if share < 1 else float(int(share) + 1)
