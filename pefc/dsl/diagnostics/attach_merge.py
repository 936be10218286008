"""Mistakes that show when a plan is applied to a model, merged, or taken out again."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class NothingAttached(Diagnostic):
    """`save`, `merge` or `remove` was called on a model to which no spec is applied.

        pefc.save(LlamaForCausalLM(config), "out")

    Apply one first, or load a saved adapter. After a merge nothing is attached any more: to be able
    to take out what was merged, call `pefc.merge(model, keep_base=True)`.
    """

    model: str

    def title(self) -> str:
        return f"nothing is attached to this {self.model}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "no spec was applied to it, or it was merged or taken out"),)

    def help(self) -> str:
        return "apply a spec with `pefc.apply`, or load an adapter with `pefc.load`"


@dataclass(frozen=True, slots=True)
class AlreadyAttached(Diagnostic):
    """A spec is applied to a model that carries one.

        pefc.apply("lora(r=2) on attn.q, attn.v", model)
        pefc.apply("ia3 on attn.k", model)

    One spec holds everything that is attached, so that it saves, loads and comes out as one. Put
    both into one spec, or fold the first into the model with `pefc.merge`, or take it out with
    `pefc.remove`.
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

        model.q_proj.forward = logged(model.q_proj.forward)
        pefc.apply("lora(r=2) on attn.q", model)

    Accelerate's hooks and some profilers do this. Apply the spec first, then add the hooks.
    """

    span: Span
    path: str
    more: int = 0

    def title(self) -> str:
        return f"`forward` of `{self.path}` was replaced on the module itself"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"attaches to `{self.path}`, where it would have no effect"),)

    def notes(self) -> tuple[str, ...]:
        return _others(self.more)

    def help(self) -> str:
        return "apply the spec before hooks are added"


@dataclass(frozen=True, slots=True)
class NotTraced(Diagnostic):
    """The graph of a model was asked for, and the model cannot be exported as one graph, or not
    with all sites in it.

        pefc.compile("lora(r=2) on linear", model).graph

    A forward that branches on values, or code that `torch.export` does not follow, has no graph.
    The live model is patched all the same: use `apply`.
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
    """A method is merged whose output is not an affine function of the input, so no weight and bias
    can stand for it.

        method bent(r: int = 2) on linear {
          A: [r, in] ~ normal(0, 1)
          B: [out, r] = 0
          output += relu(x @ A.T) @ B.T
        }
        bent on attn.q

    `pefc plan` shows which methods merge. Leave the method attached, or save it as an adapter.
    """

    span: Span
    method: str
    path: str
    more: int = 0

    def title(self) -> str:
        return f"`{self.method}` at `{self.path}` does not merge"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "y is not affine in x with this method"),)

    def notes(self) -> tuple[str, ...]:
        return _others(self.more)

    def help(self) -> str:
        return "leave it attached; `pefc plan` shows what merges"


@dataclass(frozen=True, slots=True)
class NoBiasToMerge(Diagnostic):
    """A method adds a constant to the output of a map that has no bias, so there is nothing to fold
    the constant into.

        beft on attn.q

    Leave it attached, or name modules that have a bias.
    """

    span: Span
    path: str
    more: int = 0

    def title(self) -> str:
        return f"`{self.path}` has no bias to merge into"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "adds a constant to the output"),)

    def notes(self) -> tuple[str, ...]:
        return _others(self.more)

    def help(self) -> str:
        return "leave it attached, or name modules that have a bias"


@dataclass(frozen=True, slots=True)
class LossyMerge(Diagnostic):
    """The base weight is stored so coarsely that part of the update would be lost in the merge.

        model = pefc.load(LlamaForCausalLM(config).to(torch.bfloat16), "out")
        pefc.merge(model)

    In bfloat16 a change smaller than half a step of a weight disappears. The loss is
    ‖kept − update‖ / ‖update‖. Merge into a model in 32 bits, or accept the loss by name:
    `pefc.merge(model, loss=0.2)`. On the command line they are `--into fp32` and `--loss 0.2`.
    """

    span: Span
    path: str
    lost: float
    dtype: str
    more: int = 0

    def title(self) -> str:
        return f"merging would lose {self.lost:.1%} of the update of `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"its change is small beside the steps of {self.dtype}"),)

    def notes(self) -> tuple[str, ...]:
        return _others(self.more, "less")

    def help(self) -> str:
        loss = _rounded_up(self.lost)
        return (
            f"convert the model with `.float()` first, or accept it with `loss={loss}`; for "
            f"folders these are `--into fp32` and `--loss {loss}`"
        )


@dataclass(frozen=True, slots=True)
class NotFinite(Diagnostic):
    """A merge would write values that are no numbers, or infinite, into the base weight.

    Training diverged, or a tensor overflowed. Load an earlier adapter, or take this one out with
    `pefc.remove`.
    """

    span: Span
    path: str
    more: int = 0

    def title(self) -> str:
        return f"merging into `{self.path}` gives values that are not finite"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "its tensors hold NaN or infinity, or overflow"),)

    def notes(self) -> tuple[str, ...]:
        return _others(self.more)

    def help(self) -> str:
        return "load an earlier adapter, or call `pefc.remove`"


@dataclass(frozen=True, slots=True)
class TiedMerge(Diagnostic):
    """A merge would change a weight that another module uses too.

        lora(r=2) on head

    Tied embeddings and heads share one tensor. Leave the method attached, or untie the weights
    first.
    """

    span: Span
    path: str
    other: str
    parameter: str = "weight"

    def title(self) -> str:
        return f"`{self.path}` shares its {self.parameter} with `{self.other}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"merging it would change `{self.other}` too"),)

    def help(self) -> str:
        return "leave it attached, or untie the weights first"


def _rounded_up(share: float) -> float:
    return min(1.0, round(share + 0.05, 1)) if share < 1 else float(int(share) + 1)


def _others(more: int, what: str = "the same") -> tuple[str, ...]:
    """The other sites of the statement that have the mistake too."""
    return (f"and {what} at {more} other site{'s' if more > 1 else ''}",) if more else ()
