"""Quantized bases, and what they stand for in floating point."""

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import nn

from pefc.compiler.families import is_transposed
from pefc.runtime.quantized import is_packed
from pefc.runtime.quantized.reading import values

from ..models import bert, gpt2, llama

BUILDERS: tuple[Callable[[], nn.Module], ...] = (llama, gpt2, bert)
FORMS = ("nf4, compute=fp32", "nf4, double, compute=fp32", "fp4, double, compute=fp32", "int8")
FOUR_BITS = FORMS[:3]


def plain_twin(quantized: nn.Module, like: nn.Module) -> nn.Module:
    """A model of plain modules that computes with the values of a quantized one."""
    twin = deepcopy(like)
    with torch.no_grad():
        for path, module in quantized.named_modules():
            if is_packed(module):
                plain = twin.get_submodule(path)
                weight = values(module)
                plain.weight.copy_(weight.T if is_transposed(plain) else weight)  # pyright: ignore[reportCallIssue]
    return twin
