"""Mistakes that show when a model trains, and choices that are made for its user."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..syntax.source import Span
from .report import Diagnostic, Label
from .suggestions import listing


@dataclass(frozen=True, slots=True)
class MissingTerms(Diagnostic):
    """A step of training has used a loss without the `loss +=` terms of what is attached.

        logits = model(input_ids).logits
        cross_entropy(logits, labels).backward()

    A loss that the model returns while it trains has the terms in it. To one that you compute
    yourself, or let a Trainer compute (`label_smoothing_factor`, `compute_loss_func`), add
    `pefc.regularizer(model)`. It is said once.
    """

    model: str
    severity: ClassVar[Literal["error", "warning"]] = "warning"

    def title(self) -> str:
        return f"the loss that trains this {self.model} has no `loss +=` terms in it"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "a gradient came back from a loss that the model did not return"),)

    def help(self) -> str:
        return "add `pefc.regularizer(model)` to the loss, or use the one that the model returns"


@dataclass(frozen=True, slots=True)
class IgnoredRates(Diagnostic):
    """An optimizer steps that does not have the rates or decays which the spec asks for.

        pefc.apply("lora(r=8) on attn.q with lr.B=16x", model)
        Trainer(model, arguments, train_dataset=texts).train()

    The optimizer that a Trainer makes by itself knows nothing of `with`: hand one over, as
    `optimizers=(pefc.optimizer(model, lr=1e-3), None)`. Groups of your own are looked at when they
    first step: `lr=16x` is measured by the rates of the tensors of which the spec says nothing. It
    is said once.
    """

    model: str
    spans: tuple[Span, ...]
    severity: ClassVar[Literal["error", "warning"]] = "warning"

    def title(self) -> str:
        clauses = listing(f"with {span.text.strip()}" for span in self.spans)
        return f"the optimizer that trains this {self.model} ignores {clauses}"

    def labels(self) -> tuple[Label, ...]:
        return tuple(
            Label(span, "a group of the optimizer has another value") for span in self.spans
        )

    def help(self) -> str:
        return "give the Trainer `optimizers=(pefc.optimizer(model, lr=…), None)`"


def _apart(*lines: tuple[str, str | None]) -> tuple[Label, ...]:
    """The first lines in which two specs differ."""
    found = tuple(Label(None, f"{what}: `{line}`") for what, line in lines if line is not None)
    return found or (Label(None, "the same statements stand in another order"),)


@dataclass(frozen=True, slots=True)
class AnotherSpec(Diagnostic):
    """`pefc.optimizer` is given a spec that the model does not carry.

        pefc.apply("lora(r=8) on attn.q", model)
        pefc.optimizer(model, "lora(r=4) on attn.q")

    The rates of one spec are not those of another. What the two do is compared, not how they are
    written. Leave the spec out to have the rates of the one that the model carries.
    """

    model: str
    asked: str | None
    """A line that is in the given spec alone."""
    there: str | None
    """One that the model carries alone."""

    def title(self) -> str:
        return f"this {self.model} carries another spec"

    def labels(self) -> tuple[Label, ...]:
        return _apart(("given", self.asked), ("carried", self.there))

    def help(self) -> str:
        return "leave the spec out, or apply it to the model first"


@dataclass(frozen=True, slots=True)
class OtherCheckpoint(Diagnostic):
    """Training is to go on from a checkpoint that was written with another spec.

        pefc.apply("adalora(r=6, target=2, steps=900) on attn.q", model)
        trainer.train(resume_from_checkpoint="out/checkpoint-100")  # of steps=600

    Tensors and the state of the optimizer would belong to other sites, or mean something else.
    Apply the spec that stands in the checkpoint, `spec.peft`; `pefc.load` does so. To train on with
    another spec, begin a new training from what `pefc.load` and `pefc.merge` make.
    """

    model: str
    saved: str | None
    """A line that is in the checkpoint's spec alone."""
    there: str | None
    """One that the model carries alone."""

    def title(self) -> str:
        return f"the checkpoint was written with another spec than this {self.model} carries"

    def labels(self) -> tuple[Label, ...]:
        return _apart(("checkpoint", self.saved), ("model", self.there))

    def help(self) -> str:
        return "apply the spec of the checkpoint, which is beside it in `spec.peft`"


@dataclass(frozen=True, slots=True)
class UnnamedTraining(Diagnostic):
    """A parameter of the base trains that no statement names, so that no adapter has it.

        pefc.apply("lora(r=8) on attn.q", model)
        model.model.norm.weight.requires_grad = True
        pefc.save(model, "out")

    Loaded into a fresh base, the adapter gives other outputs than the model gave. Write
    `tune on norm` in the spec: what it names trains, is saved, loaded, merged and put back.
    """

    model: str
    names: tuple[str, ...]
    severity: ClassVar[Literal["error", "warning"]] = "warning"

    def title(self) -> str:
        first, *others = self.names
        more = f" and {len(others)} more" if others else ""
        return f"`{first}`{more} of this {self.model} trains, and is not saved"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "`requires_grad` was set by hand; no statement names it"),)

    def help(self) -> str:
        return f"name it in the spec: `tune on {self.names[0].rpartition('.')[0]}`"


@dataclass(frozen=True, slots=True)
class NothingTrains(Diagnostic):
    """`pefc.optimizer` is asked for, and nothing of the model trains.

        model.requires_grad_(False)
        pefc.optimizer(model, lr=1e-3)

    After `pefc.apply` what the spec names trains. Frozen afterwards, it would be left as it is.
    """

    model: str

    def title(self) -> str:
        return f"nothing of this {self.model} trains"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "no tensor that the spec names has `requires_grad`"),)

    def help(self) -> str:
        return "set `requires_grad` again for what the spec attached, or give it statements"


@dataclass(frozen=True, slots=True)
class UnknownOptimizer(Diagnostic):
    """`pefc.optimizer` is asked for an optimizer that it does not know.

        pefc.optimizer(model, lr=1e-3, kind="adam8bit")

    It knows `adamw`, and `adamw8bit`, `paged_adamw` and `paged_adamw8bit` of bitsandbytes. For any
    other, hand `pefc.optimizer(model, lr=1e-3).param_groups` to its class.
    """

    kind: str
    known: tuple[str, ...]
    near: str | None

    def title(self) -> str:
        return f"there is no optimizer `{self.kind}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"there are {', '.join(f'`{name}`' for name in self.known)}"),)

    def help(self) -> str:
        if self.near is not None:
            return f"did you mean `{self.near}`?"
        return "hand `pefc.optimizer(model, lr=…).param_groups` to the class of another optimizer"


@dataclass(frozen=True, slots=True)
class NoBitsandbytes(Diagnostic):
    """An optimizer of bitsandbytes is asked for, and bitsandbytes cannot be imported.

        pefc.optimizer(model, lr=1e-3, kind="adamw8bit")

    Install it with `pip install 'pefc[quant]'`.
    """

    kind: str
    reason: str

    def title(self) -> str:
        return f"`{self.kind}` is an optimizer of bitsandbytes, which cannot be imported"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "run `pip install 'pefc[quant]'`, or take `adamw`"


@dataclass(frozen=True, slots=True)
class NotPaged(Diagnostic):
    """A paged optimizer is asked for, for parameters on a CPU.

        pefc.optimizer(model.cpu(), lr=1e-3, kind="paged_adamw8bit")

    Pages move between the memory of a GPU and that of its host. On a CPU there is nothing to move:
    the same optimizer without pages is made, which computes the same.
    """

    kind: str
    instead: str
    severity: ClassVar[Literal["error", "warning"]] = "warning"

    def title(self) -> str:
        return f"`{self.kind}` is `{self.instead}` on a CPU"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "pages move between a GPU and its host"),)

    def help(self) -> str:
        return f"move the model to a GPU before, or take `{self.instead}`"


@dataclass(frozen=True, slots=True)
class HeadPassedBy(Diagnostic):
    """A model trains whose head has methods, and the head did not run.

        SFTTrainer(pefc.apply("lora on head", model), …).train()

    Some trainers and kernels compute a loss from the hidden states and the weight of the head, so
    that no logits are made: what stands on the head would neither count nor train. Take it off, or
    train with a Trainer that calls the head. `tune on head` trains the weight itself.
    """

    model: str
    path: str

    def title(self) -> str:
        return (
            f"`{self.path}` of this {self.model} has methods, and a step of training passed it by"
        )

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "the loss was made of the weight of the head, not of its output"),)

    def help(self) -> str:
        return (
            "attach nothing to the head, or use a Trainer that calls it; `tune on head` trains it"
        )
