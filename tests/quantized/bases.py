"""Quantized bases, and what they stand for in floating point."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from pefc.compiler.model.modules import is_transposed
from pefc.runtime.quantized import pack as packing
from pefc.runtime.quantized.form import is_packed
from pefc.runtime.quantized.read import values

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


def read(folder: Path, kind: type = AutoModelForCausalLM) -> PreTrainedModel:
    """What transformers makes of a folder, with weights that evaluation does not repack."""
    model = kind.from_pretrained(folder)
    for module in model.modules():
        packing.settled(module)
    return model


def assert_same(found: nn.Module, expected: nn.Module) -> None:
    """Every tensor of the state, bit for bit."""
    left, right = found.state_dict(), expected.state_dict()
    assert left.keys() == right.keys()
    for name, value in left.items():
        assert value.dtype == right[name].dtype, name
        assert torch.equal(value, right[name]), name


def packed_paths(model: nn.Module) -> list[str]:
    return [path for path, module in model.named_modules() if is_packed(module)]


def says_so(folder: Path) -> bool:
    return "quantization_config" in json.loads((folder / "config.json").read_text())
