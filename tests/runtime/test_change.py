"""A change is done as one: what fails in the middle, and an interrupt on the way back, leave what
was before.
"""

import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

import pytest
import torch
from torch import nn

from pefc.runtime import change
from pefc.runtime.change import Change

from ..laws.interrupts import Interrupt
from ..laws.states import identities, state_of


class Other(nn.Linear):
    pass


def model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.Linear(2, 3))


def everything(model: nn.Module) -> Change:
    """One step of each kind."""
    found = Change()
    first, norm, last = model.children()
    children = found.draft(model._modules)
    del children["1"]
    children["new"] = nn.Linear(1, 1)
    found.attributes(first)["pefc_x"] = 1
    found.attributes(norm).pop("eps")
    found.become(first, Other)
    found.train(first.get_parameter("weight"), False)
    found.write(norm.get_parameter("weight"), torch.full((2,), 3.0), kept=True)
    found.swap(last.get_parameter("weight"), torch.ones(3, 2))
    found.cast([last.get_parameter("bias")], torch.float64)
    return found


def test_a_change_is_read_before_it_is_done() -> None:
    here = model()
    before = state_of(here), identities(here)
    change = everything(here)
    assert [path for path, _ in change.named_modules(here)] == ["", "0", "2", "new"]
    assert change.class_of(here[0]) is Other  # pyright: ignore[reportIndexIssue]
    assert change.tensor(here, "new.weight").shape == (1, 1)
    assert (state_of(here), identities(here)) == before
    change.commit()
    assert [name for name, _ in here.named_children()] == ["0", "2", "new"]
    assert (here[0].pefc_x, type(here[0])) == (1, Other)  # pyright: ignore[reportIndexIssue]
    assert not here[0].weight.requires_grad  # pyright: ignore[reportIndexIssue]
    assert here[1].bias.dtype == torch.float64  # pyright: ignore[reportIndexIssue]


def interrupting(call: Callable[[list[None]], object], number: int) -> int:
    """How many lines of the module ran after the failure; one of them is interrupted."""
    lines = -1

    def ran(_: FrameType, event: str, __: object) -> object:
        nonlocal lines
        if event == "line" and failed:
            lines += 1
            if lines == number:
                raise Interrupt
        return ran

    def called(frame: FrameType, _: str, __: object) -> object:
        return ran if frame.f_code.co_filename == change.__file__ else None

    failed: list[None] = []
    sys.settrace(called)  # pyright: ignore[reportArgumentType]
    try:
        with pytest.raises((OSError, Interrupt)):
            call(failed)
    finally:
        sys.settrace(None)
    return lines


def test_an_interrupt_on_the_way_back_leaves_what_was_before() -> None:
    """At every line that runs after a step has failed."""
    here = model()
    before = state_of(here), identities(here)

    def fail(failed: list[None]) -> None:
        failed.append(None)
        raise OSError

    def run(failed: list[None]) -> None:
        change = everything(here)
        change.do(partial(fail, failed), partial(str))
        change.commit()

    number = 0
    while interrupting(run, number) >= number:
        assert (state_of(here), identities(here)) == before, number
        number += 1
    assert number > 2
    assert (state_of(here), identities(here)) == before


def test_what_lasts_while_a_function_runs_is_taken_back() -> None:
    here = model()
    before = state_of(here), identities(here)
    change = Change()
    change.attributes(here)["training"] = False
    assert change.during(lambda: here.training) is False
    assert (state_of(here), identities(here)) == before

    def fail() -> None:
        raise Interrupt

    with pytest.raises(Interrupt):
        change.during(fail)
    assert (state_of(here), identities(here)) == before


def test_a_default_device_sees_nothing_of_it() -> None:
    here = model()
    change = everything(here)
    with torch.device("meta"):
        change.commit()
        assert torch.empty(1).is_meta
    assert torch.is_grad_enabled()
    assert not here[1].weight.is_meta  # pyright: ignore[reportIndexIssue]


def test_a_model_that_was_made_for_inference_is_written_too() -> None:
    with torch.inference_mode():
        here = model()
    change = Change()
    change.write(here[0].weight, torch.ones(2, 3), kept=False)  # pyright: ignore[reportIndexIssue]
    change.commit()
    assert torch.equal(here[0].weight.clone(), torch.ones(2, 3))  # pyright: ignore[reportIndexIssue]
