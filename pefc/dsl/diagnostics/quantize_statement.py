"""Mistakes in `quantize` statements, and in what stands on the modules that they name."""

from dataclasses import dataclass

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
