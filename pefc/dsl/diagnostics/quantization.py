"""Mistakes with base weights in few bits."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class InnerQuantize(Diagnostic):
    """A `quantize` stands in a task or a modifier.

        task films {
          quantize(nf4) on linear
          lora(r=8) on attn.q
        }

    All tasks share one base, and so do rows that belong to none: it cannot be quantized for one of
    them. A gate and `adapterdrop` change what methods add, and not the base. Write the statement
    outside of every block. So it is for recipes that quantize, such as `qlora`: write `quantize` at
    the top, and the methods of the recipe in the task.
    """

    span: Span
    block: str

    def title(self) -> str:
        return f"`quantize` stands in {self.block}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "it would change the base of everything else too"),)

    def help(self) -> str:
        return "write `quantize` outside of every block"


@dataclass(frozen=True, slots=True)
class ComputeInt8(Diagnostic):
    """`compute` is the dtype of products with 4-bit weights; int8 multiplies in 8 bits.

        quantize(int8, compute=bf16) on linear

    Leave `compute` out, or take a 4-bit format.
    """

    span: Span

    def title(self) -> str:
        return "`compute` means nothing with int8"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "int8 multiplies in 8 bits, and outliers in 16"),)

    def help(self) -> str:
        return "write `quantize(int8)` or `quantize(nf4, compute=bf16)`"


@dataclass(frozen=True, slots=True)
class KeptFloating(Diagnostic):
    """A weight is to have 4 bits in a model that relies on its floating point.

        pefc.apply("quantize(nf4) on linear", t5)

    The class of the model names modules that keep their dtype. T5 casts what goes into the last map
    of a feed-forward block to the dtype of that map's weight; 4 bits lie there as whole numbers of
    8, and all but whole numbers would be lost of the states. Leave these maps out, in place of
    `qlora` too, which is two statements: `quantize` and `lora`. `int8` takes them.
    """

    span: Span
    path: str
    model: str

    def title(self) -> str:
        return f"{self.model} needs the weight of `{self.path}` in floating point"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "4 bits would change what the model computes around it"),)

    def help(self) -> str:
        inner = ".".join(self.path.split(".")[-2:])
        return f'leave it out: `except "{inner}"`'


@dataclass(frozen=True, slots=True)
class NotQuantizedYet(Diagnostic):
    """A method is for a map of 4 bits that was made and never moved to a device.

        model.a = bitsandbytes.nn.Linear4bit(64, 64)
        pefc.apply("lora(r=8) on a", model)

    bitsandbytes quantizes such a weight when the module is moved, to the device that it is on, too.
    Until then the module cannot be called. Call `model.to("cpu")`, or another device, first.
    """

    span: Span
    path: str

    def title(self) -> str:
        return f"`{self.path}` has 4 bits by its class, and is not quantized yet"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "it cannot be called before it was moved to a device"),)

    def help(self) -> str:
        return 'move the model to a device first, `model.to("cpu")`'


@dataclass(frozen=True, slots=True)
class NotFiniteWeight(Diagnostic):
    """A weight that is to be quantized holds NaN or infinity.

        quantize(nf4, double) on linear

    Weights of a block share a scale, and with `double` all of them share one; a single value that
    is not finite makes NaN of them all. The model was damaged before: read it again.
    """

    span: Span
    path: str
    more: int = 0

    def title(self) -> str:
        return f"the weight of `{self.path}` holds NaN or infinity"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "quantizes it, and would make NaN of its neighbours"),)

    def notes(self) -> tuple[str, ...]:
        if not self.more:
            return ()
        return (f"and that of {self.more} other module{'s' if self.more > 1 else ''}",)

    def help(self) -> str:
        return "read the base again, or leave the module out"


@dataclass(frozen=True, slots=True)
class NoQuantizationConfig(Diagnostic):
    """A quantized model is to be saved in a way from which it could not be read again.

        pefc.apply("quantize(nf4) on attn; quantize(int8) on ffn", model)
        model.save_pretrained("out")

    A folder of transformers has one `quantization_config`, which says one form for all weights that
    are quantized. Where a model has weights of two forms, or one that transformers never quantizes,
    the folder would be read as something else, so nothing is written. Save the adapter with
    `pefc.save`, which has the `quantize` statements in its spec, and read the plain base with
    `pefc.base`; or make the model a plain one with `pefc.merge(model, into="bf16")`.
    """

    model: str
    reason: str

    def title(self) -> str:
        return f"no `quantization_config` says how this {self.model} is quantized"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def notes(self) -> tuple[str, ...]:
        return ("transformers would read the folder as another model, so nothing is written",)

    def help(self) -> str:
        return (
            "save the adapter with `pefc.save` and read the base with `pefc.base`, or make a plain "
            'model with `pefc.merge(model, into="bf16")`'
        )


@dataclass(frozen=True, slots=True)
class QuantizedTwice(Diagnostic):
    """Two statements quantize one weight.

        quantize(nf4) on linear
        quantize(int8) on attn.q

    A weight has one form. Take what the second one names out of the first: `linear except attn.q`.
    """

    span: Span
    path: str
    first: Span

    def title(self) -> str:
        return f"`{self.path}` is quantized twice"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "and here"), Label(self.first, "quantized here"))

    def help(self) -> str:
        return "let the selections have no module in common: `A except B`"


@dataclass(frozen=True, slots=True)
class OtherForm(Diagnostic):
    """A model arrives with a quantized weight, and the spec wants another form of it.

        model = AutoModelForCausalLM.from_pretrained(folder, quantization_config=four_bits)
        pefc.apply("quantize(int8) on linear", model)

    What was lost in the first form does not come back. Load the base without quantization, or leave
    `quantize` out of the spec: methods attach to quantized weights as they are.
    """

    span: Span
    path: str
    found: str
    wanted: str

    def title(self) -> str:
        return f"`{self.path}` is quantized in another form"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"asks for {self.wanted}"),)

    def notes(self) -> tuple[str, ...]:
        return (f"it is {self.found}",)

    def help(self) -> str:
        return "load the base without quantization, or leave the statement out"


@dataclass(frozen=True, slots=True)
class SharedQuantize(Diagnostic):
    """A weight that other modules use is to be quantized.

        quantize(nf4) on head

    A head is often tied to the embedding, which looks up rows of the weight. Leave it in floating
    point (`linear` is without it), or untie the weights first.
    """

    span: Span
    path: str
    other: str

    def title(self) -> str:
        return f"`{self.path}` shares its weight with `{self.other}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "a shared weight cannot be quantized"),)

    def help(self) -> str:
        return "leave it out: `linear` names every linear map but the head"


@dataclass(frozen=True, slots=True)
class DoubleInt8(Diagnostic):
    """`double` quantizes the scales of 4-bit blocks; int8 has one scale a row.

        quantize(int8, double) on linear

    Leave `double` out, or take a 4-bit format.
    """

    span: Span

    def title(self) -> str:
        return "`double` means nothing with int8"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "int8 has one scale a row, in full precision"),)

    def help(self) -> str:
        return "write `quantize(int8)` or `quantize(nf4, double)`"


@dataclass(frozen=True, slots=True)
class NoQuantizer(Diagnostic):
    """A spec quantizes weights, and the library that does it is not installed.

        quantize(nf4) on linear

    Install it with `pip install 'pefc[quant]'`.
    """

    span: Span

    def title(self) -> str:
        return "quantization needs bitsandbytes"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "and it is not installed"),)

    def help(self) -> str:
        return "run `pip install 'pefc[quant]'`"


@dataclass(frozen=True, slots=True)
class BrokenQuantizer(Diagnostic):
    """Weights are to be quantized, or are, and bitsandbytes is installed but cannot be imported.

        quantize(nf4) on linear

    It was made for another CUDA or another torch, say, or one of its files is missing. What Python
    says of `python -c "import bitsandbytes"` is where to begin.
    """

    span: Span | None
    reason: str

    def title(self) -> str:
        return "bitsandbytes is installed, and cannot be imported"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, self.reason),)

    def help(self) -> str:
        return "see what `python -c 'import bitsandbytes'` says, or install it anew"


@dataclass(frozen=True, slots=True)
class UnreadableBits(Diagnostic):
    """The weights of a model are quantized, or shall be while they are read, and a library that
    this takes is not installed.

        pefc.base("lora on attn.q", "quantized-base")

    Install it with `pip install 'pefc[quant]'`. transformers reads such weights with bitsandbytes
    and accelerate; `pefc merge` takes bitsandbytes alone.
    """

    reference: str
    missing: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.reference}` is read with {' and '.join(self.missing)}"

    def labels(self) -> tuple[Label, ...]:
        state = "is not installed" if len(self.missing) == 1 else "are not installed"
        return (
            Label(None, f"its weights are quantized, and {' and '.join(self.missing)} {state}"),
        )

    def help(self) -> str:
        return "run `pip install 'pefc[quant]'`"


@dataclass(frozen=True, slots=True)
class DistortedWeights(Diagnostic):
    """A warning: on this device a quantized weight computes with other values than it was quantized
    to.

        pefc.apply("quantize(nf4) on ffn.down", model_of_width_688)

    bitsandbytes 0.50 has this fault on CPU, for 4 bits, where the inputs of a map are no multiple
    of 64: scales are looked up row by row, and have been written for the flat weight. On CUDA the
    same weight is right, so an adapter that is trained here would not fit there. Leave such maps in
    floating point, or train on CUDA.
    """

    severity: ClassVar[Literal["error", "warning"]] = "warning"
    path: str
    more: int

    def title(self) -> str:
        return f"on a CPU `{self.path}` does not compute with what it was quantized to"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "bitsandbytes looks up its scales wrongly for this width"),)

    def notes(self) -> tuple[str, ...]:
        return (
            (f"the same at {self.more} other weight{'' if self.more == 1 else 's'}",)
            if self.more
            else ()
        )

    def help(self) -> str:
        return "leave maps whose inputs are no multiple of 64 out of `quantize`, or use CUDA"


@dataclass(frozen=True, slots=True)
class QuantizedTune(Diagnostic):
    """A quantized weight is to be trained.

        quantize(nf4) on linear
        tune weight on attn.q

    Gradients do not move a weight of 4 or 8 bits. Leave the module out of `quantize`, or attach a
    method; biases train.
    """

    span: Span
    path: str

    def title(self) -> str:
        return f"the weight of `{self.path}` is quantized, so it cannot train"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "trains it"),)

    def help(self) -> str:
        return "leave the module out of `quantize`, or attach a method such as `lora`"


@dataclass(frozen=True, slots=True)
class QuantizedMerge(Diagnostic):
    """A merge would write into a quantized weight, whose steps are wide beside the update.

        pefc.merge(pefc.load(model, "qlora"))

    The loss is ‖kept − update‖ / ‖update‖, measured. `pefc.merge(model, into="bf16")` makes the
    weights 16-bit copies of what the base computes with, the update included, and
    `pefc.merge(model, requantize=True)` rounds the sum to the form of the base again. For folders
    they are `--into bf16` and `--requantize`, which writes the values of the rounded sums in the
    dtype of the base.
    """

    span: Span
    path: str
    form: str
    lost: float
    more: int = 0

    def title(self) -> str:
        return f"merging into `{self.path}` would lose {self.lost:.1%} of the update"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"its base is {self.form}"),)

    def notes(self) -> tuple[str, ...]:
        if not self.more:
            return ()
        return (f"and less at {self.more} other site{'s' if self.more > 1 else ''}",)

    def help(self) -> str:
        return (
            'make a 16-bit copy with `into="bf16"`, or accept the loss with `requantize=True`; for '
            "folders these are `--into bf16` and `--requantize`"
        )


@dataclass(frozen=True, slots=True)
class Requantized(Diagnostic):
    """A warning: an adapter was merged into quantized weights, and rounding lost a part of it.

        pefc.merge(model, requantize=True)

    The loss is ‖kept − update‖ / ‖update‖, of the site where it is largest. With `into="bf16"`
    nothing is lost but what 16 bits cannot hold.
    """

    severity: ClassVar[Literal["error", "warning"]] = "warning"
    path: str
    form: str
    lost: float

    def title(self) -> str:
        return f"rounding lost up to {self.lost:.1%} of an update, at `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"the weight is {self.form} again"),)

    def help(self) -> str:
        return 'make a 16-bit copy instead, with `into="bf16"`'
