"""Mistakes with base weights in few bits: each function makes one."""

import importlib.util
from collections.abc import Callable

import pytest

import pefc

from ..models import llama, perturb

NF4 = "quantize(nf4, double) on linear"


def other_form() -> None:
    pefc.apply("quantize(int8) on linear", pefc.apply(NF4, llama()))


def no_quantizer() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.util, "find_spec", lambda _: None)
        pefc.plan(NF4, llama())


def quantized_merge() -> None:
    model = pefc.apply(f"{NF4}\nlora(r=2) on attn.q", llama())
    perturb(model)
    try:
        pefc.merge(model)
    except pefc.SpecError as error:
        (found,) = error.diagnostics
        raise pefc.SpecError([_rounded(found)]) from error


def _rounded(found: object) -> object:
    """The same on every processor."""
    return type(found)(found.span, found.path, found.form, round(found.lost, 1), found.more)


QUANTIZE_MISTAKES: tuple[Callable[[], None], ...] = (other_form, no_quantizer, quantized_merge)
