"""Mistakes in the name of a model, or in what stands there."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from .core import Diagnostic, Label


@dataclass(frozen=True)
class ModelNotFound(Diagnostic):
    """A model is neither a folder with a `config.json`, nor known to the hub.

        pefc roles ./no-such-folder

    MODEL is a folder, a hub id such as `org/name`, or `package.module:function`. The weights need
    not be there.
    """

    reference: str
    reason: str

    def title(self) -> str:
        return f"there is no model `{self.reference}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "give a folder with a `config.json`, a hub id, or `package.module:function`"


@dataclass(frozen=True)
class NotAReference(Diagnostic):
    """`pefc.base` is given something else than where a model is.

        pefc.base("quantize(nf4) on linear", model)

    It reads a model and quantizes its weights as they come. `pefc.apply` quantizes one that is
    there.
    """

    found: str
    is_model: bool

    def title(self) -> str:
        return f"`{self.found}` is not where a model is"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "`pefc.base` reads a folder, a hub id or `package.module:function`"),)

    def help(self) -> str:
        if self.is_model:
            return "to quantize a model that is there, call `pefc.apply(spec, model)`"
        return "give a string or a path"


@dataclass(frozen=True)
class AdapterAsModel(Diagnostic):
    """A folder that should hold a model holds an adapter.

        pefc.base("quantize(nf4) on linear", "adapter")

    An adapter has no weights of its base. Name the folder of the base, and load the adapter into
    the model.
    """

    folder: str

    def title(self) -> str:
        return f"`{self.folder}` holds an adapter, not a model"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "it has a `plan.json` of pefc, and no `config.json`"),)

    def help(self) -> str:
        return f'name the folder of its base, then call `pefc.load(model, "{self.folder}")`'


@dataclass(frozen=True)
class UnknownArchitecture(Diagnostic):
    """The `config.json` of a model names a class that transformers does not have.

        {"model_type": "llama", "architectures": ["MyLlama"]}

    Code that comes with a model is never run. Write a function that makes the model, and name it as
    `package.module:function`.
    """

    reference: str
    architecture: str

    def title(self) -> str:
        return f"transformers has no class `{self.architecture}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"the `config.json` of `{self.reference}` names it"),)

    def help(self) -> str:
        return "name a function that makes the model, as `package.module:function`"


@dataclass(frozen=True)
class UnnamedArchitecture(Diagnostic):
    """A warning: the `config.json` of a model names no class, so one is chosen for its type.

        {"model_type": "llama", "hidden_size": 256}

    It is the one that `AutoModel` makes: for most types the backbone, without a head. Name the
    class under `architectures`, as `save_pretrained` does, or write a function that makes the
    model.
    """

    severity: ClassVar[Literal["error", "warning"]] = "warning"

    reference: str
    chosen: str
    other: str | None
    """A class of the same type with a head."""

    def title(self) -> str:
        return f"`{self.reference}` is taken for a `{self.chosen}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "its `config.json` names no class: it has no `architectures`"),)

    def help(self) -> str:
        return (
            f'write `"architectures": ["{self.other or self.chosen}"]` into it, or name a function'
            " that makes the model, as `package.module:function`"
        )


@dataclass(frozen=True)
class FunctionNotFound(Diagnostic):
    """`package.module:function` does not lead to a function.

        pefc roles my_project.models:tiny

    The module is imported as Python does it, the current folder comes first.
    """

    reference: str
    reason: str
    gives: str = "a model"
    """What the function should return."""

    def title(self) -> str:
        return f"`{self.reference}` leads to no function"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return (
            f"name a function without parameters that returns {self.gives}, as "
            "`package.module:function`"
        )


@dataclass(frozen=True)
class NotModel(Diagnostic):
    """A function or a folder that should give a model fails, or gives something else.

        pefc roles my_numbers:seven

    A function is called without arguments and returns a `torch.nn.Module`. A folder has a
    `config.json`, and maybe weights, that transformers can read. Mend what the reason names.
    """

    reference: str
    reason: str

    def title(self) -> str:
        return f"`{self.reference}` gives no model"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        if ":" in self.reference:
            return "name a function without parameters that returns a `torch.nn.Module`"
        return "mend the files of the model"


@dataclass(frozen=True)
class NotBatches(Diagnostic):
    """A function that should give batches fails, or gives something else.

        pefc prune fused/ my_models:tiny --data my_data:one_batch --keep 2 -o pruned/

    A function is called without arguments and returns, or yields, several batches: mappings of the
    arguments of the model's forward, or tensors that are its first one.
    """

    reference: str
    reason: str

    def title(self) -> str:
        return f"`{self.reference}` gives no batches"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "name a function without parameters that returns a list of batches, or yields them"
