"""The forms in which a quantized module keeps its weight. Nothing here imports bitsandbytes."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

Format = Literal["nf4", "fp4", "int8"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
"""The dtypes of computation, by the names that specs give them."""
BLOCK = 64
"""Weights that share one scale, in 4 bits."""
NESTED = 256
"""Scales that share one scale, with double quantization."""


@dataclass(frozen=True, slots=True)
class Form:
    """How a weight is quantized, and how it computes."""

    format: Format
    double: bool
    """The scales are quantized too."""
    compute: torch.dtype | None
    """The dtype of products; None for that of the first input, and always with int8."""

    def __str__(self) -> str:
        names = {dtype: name for name, dtype in DTYPES.items()}
        words = [self.format, *["double"] * self.double]
        if self.compute is not None:
            words.append(f"compute={names.get(self.compute, str(self.compute))}")
        return ", ".join(words)

    def bytes(self, inputs: int, outputs: int) -> int:
        """What a weight takes, its scales included."""
        count = inputs * outputs
        if self.format == "int8":
            return count + 4 * outputs
        blocks = -(-count // BLOCK)
        scales = blocks + 4 * -(-blocks // NESTED) + 4 * NESTED if self.double else 4 * blocks
        return -(-count // 2) + scales + 4 * 16


def form(module: nn.Module) -> Form | None:
    """The form of a module that is quantized; None for any other."""
    match _family(module):
        case "Linear4bit":
            state = state_of(module)
            if state is None:
                return None
            double = bool(getattr(state, "original_nested", getattr(state, "nested")))  # noqa: B009
            return Form(getattr(state, "quant_type"), double, _compute(module))  # noqa: B009
        case "Linear8bitLt":
            return Form("int8", double=False, compute=None)
        case _:
            return None


def state_of(module: nn.Module) -> object:
    """What bitsandbytes keeps beside a 4-bit weight, and beside its module: a weight that was put
    together out of parts has lost it. None where there is nothing.
    """
    return getattr(module.weight, "quant_state", None) or getattr(module, "quant_state", None)


def is_packed(module: nn.Module) -> bool:
    """Whether a module's weight is no matrix of numbers any more."""
    return form(module) is not None


def lacks_bits(module: nn.Module) -> bool:
    """Whether a module of 4 bits still has its numbers: they are quantized when it is moved."""
    is_one = _family(module) == "Linear4bit" and state_of(module) is None
    return is_one and not module.get_parameter("weight").is_meta


def dtype(module: nn.Module) -> torch.dtype | None:
    """The dtype that a quantized weight had; None where that is not known."""
    state = state_of(module)
    if state is None:
        return None
    return getattr(state, "original_dtype", getattr(state, "dtype"))  # noqa: B009


def size(module: nn.Module) -> int:
    """The numbers that a quantized weight stands for."""
    return module.in_features * module.out_features  # pyright: ignore[reportReturnType, reportOperatorIssue]


def _compute(module: nn.Module) -> torch.dtype | None:
    chosen = module.compute_dtype
    return chosen if isinstance(chosen, torch.dtype) else None


def _family(module: nn.Module) -> str | None:
    """The class of bitsandbytes that a module's class comes from."""
    for base in type(module).__mro__:
        if base.__module__.partition(".")[0] == "bitsandbytes" and base.__name__ in _FAMILIES:
            return base.__name__
    return None


_FAMILIES = ("Linear4bit", "Linear8bitLt")
