"""Mistakes with the folders of whole models that `pefc merge` reads and writes."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from .report import Diagnostic, Label


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


@dataclass(frozen=True, slots=True)
class NoCheckpoint(Diagnostic):
    """A folder that is to be merged into holds no weights in safetensors.

        pefc merge folder_with_only_a_config out/ -o merged/

    The base of `pefc merge` is a folder as `save_pretrained` writes it: `config.json`, and
    `model.safetensors` or its shards with `model.safetensors.index.json`. Load other weights with
    transformers and save them again. Of a model on the hub give the folder it was downloaded to.
    """

    folder: str
    reason: str

    def title(self) -> str:
        return f"`{self.folder}` holds no weights that can be merged into"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "give a folder that `save_pretrained` wrote"


@dataclass(frozen=True, slots=True)
class DamagedCheckpoint(Diagnostic):
    """A file of the base is not what its format, its index or its `config.json` says.

        truncate -s 1000 base/model-00002-of-00003.safetensors
        pefc merge base out/ -o merged/

    A download was cut short, or the files belong to different models. Fetch the folder again.
    """

    path: str
    reason: str

    def title(self) -> str:
        return f"`{self.path}` is damaged"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "fetch or save the base again"


@dataclass(frozen=True, slots=True)
class MissingTensor(Diagnostic):
    """A weight that the adapter changes is not in the base under the name that the model has for
    it.

        pefc merge base_with_old_names out/ -o merged/

    Some models are stored under other names than they have once they are loaded, or with several
    weights in one. `pefc merge` rewrites files, and does not guess. Load the model, then merge it:
    `pefc.merge(pefc.load(model, "out"))` and `model.save_pretrained("merged")`.
    """

    folder: str
    name: str
    more: int = 0

    def title(self) -> str:
        return f"`{self.folder}` has no tensor `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "the adapter changes it, and it is stored under another name"),)

    def notes(self) -> tuple[str, ...]:
        others = f"{self.more} other tensor{'s' if self.more > 1 else ''}"
        return (f"and the same with {others}",) if self.more else ()

    def help(self) -> str:
        return "load the model, call `pefc.merge`, then `save_pretrained`"


@dataclass(frozen=True, slots=True)
class QuantizedCheckpoint(Diagnostic):
    """A base was saved in a quantized form that `pefc merge` does not read.

        pefc merge base_of_gptq out/ -o merged/

    It reads what bitsandbytes has quantized and transformers has saved. Of any other form give the
    folder in floating point that it was made from; an adapter that was trained on quantized weights
    is merged into that with `--into bf16`.
    """

    folder: str
    method: str

    def title(self) -> str:
        return f"`{self.folder}` is saved in quantized form"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"its `config.json` names the quantization `{self.method}`"),)

    def help(self) -> str:
        return "give the folder in floating point that it was made from"


@dataclass(frozen=True, slots=True)
class OutputExists(Diagnostic):
    """A model or an adapter is to be written where something is, or a page where another file is.

        pefc merge base out/ -o base
        pefc combine movies/ tweets/ -o movies/ --how cat

    What was trained is not lost by a typo: name a folder that is not there, or an empty one for an
    adapter. `compile`, `combine` and `prune` take `--force`, which replaces the adapter in a folder
    as a whole, and nothing else. `pefc graph --html` replaces such a page and no other file.
    """

    path: str
    writes: Literal["model", "adapter", "page"] = "model"

    def title(self) -> str:
        return f"`{self.path}` is there already"

    def labels(self) -> tuple[Label, ...]:
        match self.writes:
            case "model":
                return (Label(None, "the merged model needs a new folder"),)
            case "adapter":
                return (Label(None, "the adapter needs a new folder, or an empty one"),)
            case "page":
                return (Label(None, "it is no page that `pefc graph` has written"),)

    def help(self) -> str:
        match self.writes:
            case "model":
                return "name a folder that is not there, or remove this one"
            case "adapter":
                return "name another folder, or replace the adapter in this one with `--force`"
            case "page":
                return "name another file"


@dataclass(frozen=True, slots=True)
class OutputInside(Diagnostic):
    """A merged model is to be written into the folder of its base or of its adapter.

        pefc merge base out/ -o base/merged

    Whoever copies, uploads or reads that folder would then have both. Name one beside it.
    """

    path: str
    folder: str

    def title(self) -> str:
        return f"`{self.path}` lies in `{self.folder}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "the merged model would become a part of what it is made from"),)

    def help(self) -> str:
        return "name a folder beside it"


@dataclass(frozen=True, slots=True)
class Overflow(Diagnostic):
    """A weight of the base has values that the dtype of the merged model cannot hold.

        pefc merge base out/ -o merged/ --into fp16

    float16 ends at 65504. bfloat16 has the range of float32.
    """

    name: str
    dtype: str

    def title(self) -> str:
        return f"`{self.name}` does not fit into {self.dtype}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "finite values would become infinite"),)

    def help(self) -> str:
        return "take `--into bf16` or `--into fp32`"
