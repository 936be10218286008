"""Equal tensors give equal outputs, gradients and merged weights in pefc and in HF PEFT."""

import pytest
import torch

import pefc

from .cases import CASES, DROPPED
from .models import output, states
from .pair import Case, Pair, change, merged, pair, tensors

TOLERANCE = 1e-6
"""Relative, in float64; some layers of the models go through float32 on both sides."""


def assert_equal(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    assert ours.shape == theirs.shape
    assert (ours - theirs).norm() <= TOLERANCE * theirs.norm()


def backward(model: torch.nn.Module) -> tuple[torch.Tensor, torch.Tensor]:
    """The output and the gradient of the input, for one fixed direction of the output."""
    x = states()
    torch.manual_seed(6)
    result = output(model, x)
    direction = torch.randn(result.shape, generator=torch.Generator().manual_seed(7)).double()
    result.backward(direction)
    assert x.grad is not None
    return result.detach(), x.grad


def assert_same_steps(both: Pair) -> None:
    for ours, theirs in zip(backward(both.ours), backward(both.theirs), strict=True):
        assert_equal(ours, theirs)
    mine, other = tensors(both.ours), tensors(both.theirs)
    for name, peer in both.names:
        if other[peer].requires_grad:
            assert_equal(mine[name].grad, other[peer].grad.reshape(mine[name].shape))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_forward_and_gradients(case: Case) -> None:
    both = pair(case)
    assert change(case, both.theirs) > 1e-3
    assert_same_steps(both)


@pytest.mark.parametrize("case", DROPPED, ids=str)
def test_forward_and_gradients_with_the_same_dropout_mask(case: Case) -> None:
    both = pair(case)
    both.ours.train()
    both.theirs.train()
    with torch.no_grad():
        dropped = output(both.theirs, states())
    assert (dropped - output(both.theirs.eval(), states())).abs().max() > 1e-3
    both.theirs.train()
    assert_same_steps(both)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_merged_weights(case: Case) -> None:
    both = pair(case)
    pefc.merge(both.ours)
    weights = both.ours.state_dict()
    peers = merged(both.theirs)
    assert peers.keys() <= weights.keys()
    for name, weight in peers.items():
        assert_equal(weights[name], weight)
