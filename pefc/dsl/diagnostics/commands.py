"""Mistakes in what a command was given beside the spec: words, models, files to write."""

from dataclasses import dataclass

from ..nearest import listing, suggestion
from .core import Diagnostic, Label
from .selection import ranges


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
