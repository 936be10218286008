"""Mistakes with base weights in few bits: each function makes one."""

import importlib.util
from collections.abc import Callable

import pytest

import pefc

from ..models import gpt2, llama

NF4 = "quantize(nf4, double) on linear"


def other_form() -> None:
    pefc.apply("quantize(int8) on linear", pefc.apply(NF4, llama()))


def no_quantizer() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda _: None)
        pefc.plan(NF4, llama())


def distorted_weights() -> None:
    pefc.apply("quantize(nf4) on linear", gpt2())


QUANTIZE_MISTAKES: tuple[Callable[[], None], ...] = (other_form, no_quantizer, distorted_weights)
