"""Mistakes with base weights in few bits: each function makes one."""

import sys
import warnings
from collections.abc import Callable

import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit
from torch import nn

import pefc
from pefc.compiler.model import quantizer

from ..models import gpt2, llama, perturb
from ..runtime.prompt_models import t5
from .command_mistakes import command

NF4 = "quantize(nf4, double) on linear"


def not_quantized_yet() -> None:
    model = nn.Sequential(Linear4bit(64, 64))
    pefc.apply(pefc.parse("lora(r=2) on :Linear4bit", name="train.peft"), model)


def kept_floating() -> None:
    pefc.apply(pefc.parse("qlora(r=2)", name="train.peft"), t5())


def kept_floating_named() -> None:
    pefc.apply(pefc.parse("quantize(fp4) on ffn.down", name="train.peft"), t5())


def other_form() -> None:
    pefc.apply("quantize(int8) on linear", pefc.apply(NF4, llama()))


def no_quantizer() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "bitsandbytes", None)
        pefc.plan(NF4, llama())


def broken_quantizer() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quantizer, "library", failing)
        pefc.apply(pefc.parse(NF4, name="train.peft"), llama())


def failing() -> None:
    raise OSError("libcudart.so.13: cannot open shared object file")


def unreadable_bits() -> None:
    pefc.apply(NF4, llama()).save_pretrained("quantized-base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "bitsandbytes", None)
        patch.setitem(sys.modules, "accelerate", None)
        pefc.base("lora on attn.q", "quantized-base")


def unreadable_bits_to_merge() -> None:
    model = pefc.apply(f"{NF4}\nlora(r=2) on attn.q", llama())
    pefc.save(model, "adapter")
    pefc.remove(model).save_pretrained("quantized-base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "bitsandbytes", None)
        command("merge", "quantized-base", "adapter", "-o", "out")


def bits_to_be_read() -> None:
    llama().save_pretrained("base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "accelerate", None)
        pefc.base(NF4, "base")


def distorted_weights() -> None:
    pefc.apply("quantize(nf4) on linear", gpt2())


def requantized() -> None:
    model = pefc.apply(f"{NF4}\nlora(r=2) on attn.q", llama())
    perturb(model)
    with pytest.warns(pefc.SpecWarning) as caught:
        pefc.merge(model, requantize=True)
    found = caught[0].message.diagnostic  # pyright: ignore[reportAttributeAccessIssue]
    rounded = type(found)(found.path, found.form, round(found.lost, 1))  # as on every processor
    warnings.warn(pefc.SpecWarning(rounded), stacklevel=1)


def no_quantization_config() -> None:
    spec = "quantize(nf4, double) on attn; quantize(int8) on ffn"
    pefc.apply(spec, llama()).save_pretrained("out")


def not_finite_weight() -> None:
    model = llama()
    for path in ("model.layers.0.mlp.up_proj", "model.layers.1.self_attn.v_proj"):
        torch.nn.init.constant_(model.get_submodule(path).weight[2:3, 3:4], torch.nan)  # pyright: ignore[reportArgumentType, reportIndexIssue]
    pefc.apply(NF4, model)


def not_a_reference() -> None:
    pefc.base(NF4, llama())  # pyright: ignore[reportArgumentType]


def adapter_as_model() -> None:
    pefc.save(pefc.apply("lora(r=2) on attn.q", llama()), "adapter")
    pefc.base(NF4, "adapter")


QUANTIZE_MISTAKES: tuple[Callable[[], None], ...] = (
    not_quantized_yet,
    kept_floating,
    kept_floating_named,
    other_form,
    no_quantizer,
    broken_quantizer,
    unreadable_bits,
    unreadable_bits_to_merge,
    bits_to_be_read,
    distorted_weights,
    requantized,
    no_quantization_config,
    not_finite_weight,
    not_a_reference,
    adapter_as_model,
)
