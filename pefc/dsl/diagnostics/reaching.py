"""Mistakes about modules that a model does not run, or past whose forward it reads."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class ReadElsewhere(Diagnostic):
    """A merge would change a parameter that the model also reads past the module's forward.

        def forward(self, x):
            return self.up(x) + functional.linear(x, self.up.weight)

    A method on `up` changes what `up(x)` gives, and not what the second product gives; a changed
    weight would change both. Leave the method attached.
    """

    span: Span
    path: str
    parameter: str
    reader: str
    """The path of the module that reads it; "" for the model itself."""
    more: int = 0

    def title(self) -> str:
        return f"the {self.parameter} of `{self.path}` is read past its forward"

    def labels(self) -> tuple[Label, ...]:
        reader = f"`{self.reader}`" if self.reader else "the model"
        return (Label(self.span, f"merging it would change what {reader} reads too"),)

    def notes(self) -> tuple[str, ...]:
        return _others(self.more)

    def help(self) -> str:
        return "leave it attached"


@dataclass(frozen=True, slots=True)
class UnprovenSites(Diagnostic):
    """It is not known whether modules that a method stands on run when the model does.

        pefc.plan("lora on first", TwoInputs())

    Some modules only hold a weight that another one reads, and a method on them would have no
    effect. A trace of the model shows which do, or else a run of a copy of it. This model can be
    traced no more than run with inputs that are made up: it takes several, decides by their values,
    or has no values itself. Its first call will show it, and says so if one does not run.
    """

    severity = "warning"

    span: Span
    path: str
    more: int
    model: str
    reason: str

    def title(self) -> str:
        return f"it is not known whether `{self.path}` runs"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "the first call of the model will show it"),)

    def notes(self) -> tuple[str, ...]:
        why = f"{self.model} could be neither traced nor run ({self.reason})"
        return (why, *_others(self.more))


@dataclass(frozen=True, slots=True)
class UnreachedSites(Diagnostic):
    """The first call of a model has not run modules that methods stand on.

        pefc.apply("lora on linear_of_the_second_branch", model)
        model(x)

    Nothing was known of the model before, so that its first call has to show what runs. A module
    that does not run has methods without effect, which never train. If another input reaches it,
    all is well; else leave it out of the selector.
    """

    severity = "warning"

    span: Span
    path: str
    more: int
    model: str

    def title(self) -> str:
        return f"`{self.path}` did not run in the first call of {self.model}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "what stands there had no effect"),)

    def notes(self) -> tuple[str, ...]:
        return _others(self.more)

    def help(self) -> str:
        return (
            f'leave it out, for example with `except "{self.path}"`, unless other inputs reach it'
        )


@dataclass(frozen=True, slots=True)
class ReplacedOutput(Diagnostic):
    """A hook gives something else than the module does that a method stands on.

        model.up.register_forward_hook(lambda module, args, output: 2 * output)
        pefc.apply("lora on up", model)
        model(x)

    Where the hook starts from `output`, all is well: the method is in it. A hook that works its
    result out from the arguments and the weight leaves the method out, which then has no effect.
    """

    severity = "warning"

    span: Span
    path: str
    more: int

    def title(self) -> str:
        return f"a hook of `{self.path}` gives something else than its forward"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(self.span, "what stands there has an effect only if the hook lets it through"),
        )

    def notes(self) -> tuple[str, ...]:
        return _others(self.more)

    def help(self) -> str:
        return "see that the hook starts from the output that it is given, or take it out"


@dataclass(frozen=True, slots=True)
class UnprovenMerge(Diagnostic):
    """A merge would change the weight of a module of which no call has shown that it runs.

        pefc.merge(pefc.load(model, "adapter"))

    If another module reads the weight, the methods never ran, and the merged model would compute
    something else. Call the model once on an input of yours, and merge then. Where a folder is to
    be merged, load the adapter, call the model, merge it and save it with `save_pretrained`.
    """

    span: Span
    path: str
    more: int = 0

    def title(self) -> str:
        return f"no call has shown that `{self.path}` runs"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "its weight might be read by another module instead"),)

    def notes(self) -> tuple[str, ...]:
        why = "the model could be neither traced nor run with inputs that are made up"
        return (why, *_others(self.more))

    def help(self) -> str:
        return "call the model once on inputs that reach it, then merge"


def _others(more: int) -> tuple[str, ...]:
    """The other sites of the statement."""
    return (f"and the same of {more} other site{'s' if more > 1 else ''}",) if more else ()
