"""Mistakes with base weights in few bits."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..syntax.source import Span
from .report import Diagnostic, Label


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
