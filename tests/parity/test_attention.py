"""Prefixes and LLaMA-Adapter in pefc and in HF PEFT: equal tensors, outputs, gradients and texts.

PEFT's prefixes always shift the positions of the text. On T5 they cannot be compared: PEFT gives
their keys a relative position, and a layer of the decoder the keys of another layer. LLaMA-Adapter
is compared on models without a bias in the output projection, which PEFT adds twice, and not on
GPT-2, where PEFT leaves the projection out.
"""

from types import SimpleNamespace

import pytest
import torch
from peft import PeftModel
from peft.tuners.adaption_prompt import layer
from torch import Tensor
from transformers import PreTrainedModel

from ..models import bert, words
from .prompted import GREEDY, Case, Pair, gradients, pair
from .prompts import ADAPTERS, PREFIXES

TOLERANCE = 1e-12
"""Relative, in float64; norms in float32 see the same on both sides."""
IDS = words(length=9)
LEFT, RIGHT = torch.ones_like(IDS), torch.ones_like(IDS)
LEFT[0, :4] = 0
RIGHT[0, 6:] = 0
MASKS = {"none": None, "left": LEFT, "right": RIGHT}
CASES = PREFIXES + ADAPTERS
WRITING = tuple(case for case in CASES if case.build is not bert)


def outputs(model: PreTrainedModel | PeftModel, mask: Tensor | None) -> Tensor:
    """At the tokens of the text alone: nobody reads those of padding."""
    found = model(input_ids=IDS, attention_mask=mask)[0]
    return found if mask is None else found[mask.bool()]


def assert_equal(ours: Tensor, theirs: Tensor) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).norm() <= TOLERANCE * theirs.norm()


def assert_same_gradients(both: Pair, mask: Tensor | None) -> None:
    for model in (both.ours, both.theirs):
        outputs(model, mask).square().sum().backward()
    expected = both.shares(gradients(both.theirs))
    found = gradients(both.ours)
    assert found.keys() == expected.keys()
    assert all(gradient.abs().max() > 1e-3 for gradient in expected.values())
    for name, gradient in found.items():
        assert_equal(gradient, expected[name])


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of PEFT's adaption prompts pass through float32, but for this."""

    def softmax(scores: Tensor, dim: int, **_: object) -> Tensor:
        return scores.softmax(dim)

    monkeypatch.setattr(layer, "F", SimpleNamespace(softmax=softmax))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_outputs_and_gradients(case: Case, mask: Tensor | None) -> None:
    both = pair(case)
    with torch.no_grad():
        ours, theirs = outputs(both.ours, mask), outputs(both.theirs, mask)
        assert (theirs - outputs(both.base, mask)).abs().max() > 0.1
    assert_equal(ours, theirs)
    assert_same_gradients(both, mask)


@pytest.mark.parametrize("mask", [torch.ones_like(IDS), LEFT], ids=["full", "left"])
@pytest.mark.parametrize("case", WRITING, ids=str)
def test_texts(case: Case, mask: Tensor) -> None:
    both = pair(case)
    ours, theirs, base = (
        model.generate(input_ids=IDS, attention_mask=mask, **GREEDY)
        for model in (both.ours, both.theirs, both.base)
    )
    assert ours.tolist() == theirs.tolist()
    assert ours.tolist() != base.tolist()
