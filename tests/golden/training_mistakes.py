"""Mistakes, and choices that are made, when a model trains: each function makes one."""

import sys
from collections.abc import Callable

import pytest
import torch

import pefc

from ..models import llama, words

TIGHT = """\
method tight(r: int = 2) on linear {
  A: [r, in] ~ kaiming(sqrt(5))
  B: [out, r] = 0
  weight += B @ A
  loss += norm(A @ A.T - eye(r))
}
tight on attn.q
"""


def missing_terms() -> None:
    model = pefc.apply(TIGHT, llama()).train()
    for _ in range(2):
        logits = model(words()).logits
        torch.nn.functional.cross_entropy(logits.flatten(0, 1), words().flatten()).backward()


def unknown_optimizer() -> None:
    pefc.optimizer(pefc.apply("lora on attn.q", llama()), lr=0.1, kind="adam8bit")


def unknown_optimizer_family() -> None:
    pefc.optimizer(pefc.apply("lora on attn.q", llama()), lr=0.1, kind="sophia")


def no_bitsandbytes() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "bitsandbytes.optim", None)
        pefc.optimizer(pefc.apply("lora on attn.q", llama()), lr=0.1, kind="paged_adamw")


def not_paged() -> None:
    pefc.optimizer(pefc.apply("lora on attn.q", llama()), lr=0.1, kind="paged_adamw8bit")


TRAINING_MISTAKES: tuple[Callable[[], None], ...] = (
    missing_terms,
    unknown_optimizer,
    unknown_optimizer_family,
    no_bitsandbytes,
    not_paged,
)
