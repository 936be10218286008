"""Mistakes with models that something else has wrapped or changed."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class WrappedModel(Diagnostic):
    """A model is given inside of a wrapper that stands in its place.

        model = torch.compile(model)
        pefc.apply("lora on attn.q", model)

    `torch.compile` and `DataParallel` return another module, which holds the model. A spec belongs
    to the model itself, so that it is saved, and generates, as it is. Give the model, and wrap it
    afterwards: what is attached is compiled, or copied to other devices, with it.
    """

    model: str
    wrapper: str
    place: str
    doing: str

    def title(self) -> str:
        return f"`pefc.{self.doing}` of a {self.model} in a `{self.wrapper}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "the wrapper is another module, which holds the model"),)

    def help(self) -> str:
        return f"give the model in it, `model.{self.place}`, and wrap that afterwards"


@dataclass(frozen=True, slots=True)
class AdapterOfPeft(Diagnostic):
    """A model is given that HF PEFT has put its own adapters into.

        model = get_peft_model(model, LoraConfig(target_modules=["q_proj"]))
        pefc.apply("lora on attn.q", model)

    PEFT has put modules of its own in the place of those that a selector names, so a method would
    stand on the adapter's matrices. Fold them into the weights first, or take them out.
    """

    model: str
    path: str
    doing: str

    def title(self) -> str:
        return f"`pefc.{self.doing}` of a {self.model} that carries an adapter of PEFT"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"`{self.path}` is a module of PEFT"),)

    def help(self) -> str:
        return "fold it in with `model = model.merge_and_unload()`, or take it out with `unload()`"


@dataclass(frozen=True, slots=True)
class OffloadedModel(Diagnostic):
    """Weights of a model are on a disk, or in another memory, until a call needs them.

        model = AutoModelForCausalLM.from_pretrained(folder, device_map="auto", offload_folder="o")
        pefc.apply("lora on attn.q", model)

    Accelerate brings such a weight for the time of one call, by a forward in the place of the
    module's own, in which no patch would run; and there are no values to start from. Load the model
    without offloading: quantized, with `quantize` in the spec and `pefc.base`, it takes a quarter.
    """

    model: str
    path: str
    doing: str

    def title(self) -> str:
        return f"`pefc.{self.doing}` of a {self.model} whose weights are offloaded"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"Accelerate brings the weights of `{self.path}` for each call"),)

    def help(self) -> str:
        return "load the model whole, without `device_map` or with one that fits, or quantize it"


@dataclass(frozen=True, slots=True)
class ReplacedEmbedding(Diagnostic):
    """The vocabulary of a model is resized, and the spec stands on the embedding or the head.

        pefc.apply("lora on head", model)
        model.resize_token_embeddings(len(tokenizer))

    A resized embedding is a new module, without what was attached to the old one. Resize the model
    first and apply the spec then. What is trained already can be folded in with `pefc.merge`.
    """

    span: Span
    path: str
    call: str

    def title(self) -> str:
        return f"`{self.call}` would put another module in the place of `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"stands on `{self.path}`, and would be lost"),)

    def help(self) -> str:
        return "resize the model before the spec is applied, or call `pefc.merge` first"


@dataclass(frozen=True, slots=True)
class ReplacedModule(Diagnostic):
    """A module on which a method stands was replaced since the spec was applied.

        pefc.apply("lora on head", model)
        model.lm_head = nn.Linear(256, 2000)

    What was attached was in the module that is gone. Replace modules first, and apply the spec
    then. `pefc.remove` takes out what is left.
    """

    span: Span
    path: str

    def title(self) -> str:
        return f"`{self.path}` is not the module that the spec was applied to"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"what this has put into `{self.path}` is gone"),)

    def help(self) -> str:
        return "replace modules before the spec is applied; `pefc.remove` takes out what is left"
