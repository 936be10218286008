"""Mistakes with base weights in few bits: each function makes one."""

import importlib.util
import warnings
from collections.abc import Callable

import pytest

import pefc

from ..models import gpt2, llama, perturb

NF4 = "quantize(nf4, double) on linear"


def other_form() -> None:
    pefc.apply("quantize(int8) on linear", pefc.apply(NF4, llama()))


def no_quantizer() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda _: None)
        pefc.plan(NF4, llama())


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


QUANTIZE_MISTAKES: tuple[Callable[[], None], ...] = (
    other_form,
    no_quantizer,
    distorted_weights,
    requantized,
)
