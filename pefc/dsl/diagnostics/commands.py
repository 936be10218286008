"""Mistakes in what a command was given beside the spec: words, models, files to write."""

from dataclasses import dataclass

from .report import Diagnostic, Label
from .selection import ranges
from .suggestions import listing, suggestion


@dataclass(frozen=True)
class UnknownEntry(Diagnostic):
    """`pefc explain` is asked for a word that is no code, method, recipe, kind of site or function.

        pefc explain unmached-selector

    The code of a diagnostic stands in its brackets; `pefc methods` lists what ships.
    """

    word: str
    near: str | None

    def title(self) -> str:
        return f"there is no entry `{self.word}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "entries are codes, methods, recipes, kinds of site and functions"),)

    def help(self) -> str:
        if self.near is not None:
            return f"did you mean `{self.near}`?"
        return "`pefc methods` lists what ships"


@dataclass(frozen=True)
class OnlySpecs(Diagnostic):
    """`pefc fmt` is given a file that is no `.peft` file.

        pefc fmt train.yaml#peft

    A spec inside a config has the form of its config.
    """

    name: str

    def title(self) -> str:
        return f"`{self.name}` is not formatted"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "only `.peft` files and standard input, `-`, are"),)

    def help(self) -> str:
        return "put the spec into a `.peft` file, or keep it in the form of its config"


@dataclass(frozen=True)
class UnwritableFile(Diagnostic):
    """A result cannot be written where it should go.

        pefc graph train.peft model --html missing/page.html

    Choose another place, or look at its permissions. The folder of a file must be there.
    """

    path: str
    reason: str

    def title(self) -> str:
        return f"`{self.path}` cannot be written"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "choose another place, or look at its permissions"


@dataclass(frozen=True)
class NeedsWeights(Diagnostic):
    """A command needs the weights of a model, and the folder has only its `config.json`.

        pefc verify train.peft folder_without_weights

    `pefc roles`, `pefc plan` and `pefc graph` need no weights.
    """

    model: str

    def title(self) -> str:
        return f"`{self.model}` has no weights"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "this command computes with them"),)

    def help(self) -> str:
        return "give a folder with weights, or a function that returns a model with weights"


@dataclass(frozen=True)
class UntouchedSite(Diagnostic):
    """`pefc graph --site` names a module on which the spec puts nothing.

        pefc graph train.peft model --site model.layers.0.mlp

    `pefc plan` shows which modules a spec reaches.
    """

    path: str
    known: tuple[str, ...]

    def title(self) -> str:
        return f"the spec puts nothing on `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "this module stays as it is"),)

    def notes(self) -> tuple[str, ...]:
        return (f"it reaches {listing(self.known[:6])}{', …' if len(self.known) > 6 else ''}",)

    def help(self) -> str | None:
        return suggestion(self.path, self.known)


@dataclass(frozen=True)
class UntouchedLayer(Diagnostic):
    """`pefc graph --layer` names a layer in which the spec does nothing.

        pefc graph train.peft model --layer 40

    Layers count from 0. `pefc plan` shows which layers a spec reaches.
    """

    layer: int
    known: tuple[int, ...]

    def title(self) -> str:
        return f"the spec does nothing in layer {self.layer}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "this layer stays as it is"),)

    def notes(self) -> tuple[str, ...]:
        if not self.known:
            return ("it does nothing in any layer",)
        word = "layer" if len(self.known) == 1 else "layers"
        return (f"it reaches {word} {ranges(self.known)}",)


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
