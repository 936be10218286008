"""Nobody calls the allocator: every optimizer that holds its tensors drives it, and no other."""

import copy
import gc
import io
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

import pefc
from pefc.runtime.ranks.optimizer_hook import hooked

from ..models import llama
from .training import (
    SPEC,
    STEPS,
    adamw,
    assert_equal,
    backward,
    batch,
    live,
    model,
    sgd,
    sites,
    step_of,
    tensors,
    train,
    trained,
)

ALL, LEFT = 8 * 5, 8 * 2


def by_pefc(model: nn.Module) -> Optimizer:
    return pefc.optimizer(model, lr=0.02)


@pytest.mark.parametrize("optimizer", [adamw, sgd, by_pefc])
def test_any_optimizer_drives_it(optimizer: Callable[[nn.Module], Optimizer]) -> None:
    trains = model()
    optimizers = optimizer(trains)
    train(trains, optimizers, range(2))
    assert sum(live(trains).values()) == ALL
    train(trains, optimizers, range(2, STEPS))
    assert sum(live(trains).values()) == LEFT
    assert step_of(trains) == STEPS
    train(trains, optimizers, range(STEPS, STEPS + 3))
    assert sum(live(trains).values()) == LEFT
    assert live(trains) == dict(pefc.ranks(trains))


def test_foreign_optimizers_do_nothing() -> None:
    trains, other = model(), nn.Linear(3, 3)
    foreign = AdamW(other.parameters())
    before = {path: value.clone() for path, value in tensors(trains)}
    backward(trains, 0)
    other(torch.ones(3)).sum().backward()
    foreign.step()
    assert all(torch.equal(before[path], value) for path, value in tensors(trains))


def test_several_optimizers_are_one_step() -> None:
    one, several = model(), model()
    train(one, sgd(one), range(STEPS))
    named = dict(several.named_parameters())
    shares = [[p for path, p in named.items() if path.endswith(f".{name}")] for name in "AEB"]
    train(several, [SGD(share, lr=0.5) for share in shares], range(STEPS))
    assert_equal(one, several)


def test_some_of_the_tensors_are_enough() -> None:
    trains = model()
    share = [p for path, p in trains.named_parameters() if path.endswith((".A", ".E"))]
    with pytest.warns(pefc.SpecWarning, match="in no optimizer that steps"):
        train(trains, SGD(share, lr=0.5), range(STEPS))
    assert step_of(trains) == STEPS
    assert sum(live(trains).values()) == LEFT


class Wrapping(Optimizer):
    """An optimizer whose step is that of another, as sharpness-aware ones have it."""

    def __init__(self, inner: Optimizer) -> None:
        super().__init__([p for group in inner.param_groups for p in group["params"]], {})
        self.inner = inner

    def step(self, closure: object = None) -> None:
        assert closure is None
        self.inner.step()


def test_an_optimizer_inside_of_another_is_one_step() -> None:
    plain, wrapped = model(), model()
    train(plain, sgd(plain), range(STEPS))
    train(wrapped, Wrapping(sgd(wrapped)), range(STEPS))
    assert_equal(plain, wrapped)


class Failing(SGD):
    """Fails once in its step."""

    failed = False

    def step(self, closure: object = None) -> None:
        if not self.failed:
            self.failed = True
            raise KeyboardInterrupt
        super().step(closure)


def test_a_step_that_failed_is_none() -> None:
    plain, failing = model(), model()
    train(plain, sgd(plain), range(STEPS))
    fails = Failing(trained(failing), lr=0.5)
    backward(failing, 0)
    with pytest.raises(KeyboardInterrupt):
        fails.step()
    fails.zero_grad()
    train(failing, fails, range(STEPS))
    assert_equal(plain, failing)


def test_a_fused_step_that_is_left_out_is_none() -> None:
    trains = model()
    optimizer = AdamW(trained(trains), lr=0.02, fused=True)
    train(trains, optimizer, range(4))
    before = {path: value.clone() for path, value in tensors(trains)}
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0)
    ids = batch(4)
    scaler.scale(trains(ids, labels=ids).loss).backward()
    trained(trains)[0].grad.fill_(torch.inf)
    scaler.step(optimizer)
    assert all(torch.equal(before[path], value) for path, value in tensors(trains))
    scaler.update()
    optimizer.zero_grad()
    scaler.scale(trains(ids, labels=ids).loss).backward()
    scaler.step(optimizer)
    assert step_of(trains) == 5
    plain = model()
    optimizer = AdamW(trained(plain), lr=0.02)
    train(plain, optimizer, range(4))
    plain(ids, labels=ids).loss.backward()
    optimizer.step()
    for (path, one), (_, two) in zip(tensors(trains), tensors(plain), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12, msg=path)


def test_what_has_no_gradient_loses_importance() -> None:
    """The sites of a layer that took no part in a step."""
    trains = model()
    optimizer = sgd(trains)
    train(trains, optimizer, range(1))
    (path, *_) = sites(trains)
    average = sites(trains)[path].shrinking.sensitivity.A.clone()
    backward(trains, 1)
    for parameter in sites(trains)[path].parameters():
        parameter.grad = None
    optimizer.step()
    torch.testing.assert_close(
        sites(trains)[path].shrinking.sensitivity.A, 0.85 * average, rtol=0, atol=0
    )
    assert step_of(trains) == 2


def test_a_step_without_any_gradient_is_none() -> None:
    trains = model()
    optimizer = sgd(trains)
    train(trains, optimizer, range(1))
    optimizer.step()
    assert step_of(trains) == 1


def test_statements_have_an_allocator_each() -> None:
    spec = "adalora(r=4, target={}, steps=6) on {} as {}\n"
    trains = pefc.apply(
        spec.format(2, "attn.q", "first") + spec.format(1, "attn.v", "second"), llama().double()
    )
    train(trains, adamw(trains), range(6))
    ranks = pefc.ranks(trains)
    for name, target in (("first", 2), ("second", 1)):
        assert sum(rank for path, rank in ranks.items() if path.endswith(name)) == 2 * target


def test_a_copy_has_an_allocator_of_its_own() -> None:
    first = model()
    train(first, sgd(first), range(5))
    second = copy.deepcopy(first)
    before = {path: value.clone() for path, value in tensors(first)}
    train(second, sgd(second), range(5, STEPS))
    assert all(torch.equal(before[path], value) for path, value in tensors(first))
    assert step_of(first) == 5
    train(first, sgd(first), range(5, STEPS))
    assert_equal(first, second)
    assert sum(live(second).values()) == LEFT


def test_a_pickled_module_has_an_allocator() -> None:
    """Patched classes do not pickle; the tensors of a method do, with those of the other sites."""
    trains = model()
    train(trains, sgd(trains), range(3))
    file = io.BytesIO()
    torch.save(list(sites(trains).values()), file)
    file.seek(0)
    loaded = nn.ModuleList(torch.load(file, weights_only=False))
    for parameter in loaded.parameters():
        parameter.grad = torch.ones_like(parameter)
    SGD(loaded.parameters(), lr=0.1).step()
    assert {int(each.shrinking.step) for each in loaded} == {4}
    assert step_of(trains) == 3


def test_the_graph_is_driven_as_the_model_is() -> None:
    program = pefc.compile(SPEC, llama().double())
    graph = program.graph
    del program
    gc.collect()
    optimizer = SGD(trained(graph), lr=0.5)
    ids = torch.arange(12)[None]
    for _ in range(STEPS):
        output = graph(input_ids=ids, attention_mask=torch.ones_like(ids))
        logits = output["logits"] if isinstance(output, dict) else output[0]
        logits.logsumexp(-1).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert sum(live(graph).values()) == LEFT


def remove(model: nn.Module) -> None:
    pefc.remove(model)


def merge(model: nn.Module) -> None:
    with pytest.warns(pefc.SpecWarning, match="is merged before its ranks are allocated"):
        pefc.merge(model)


@pytest.mark.parametrize("end", [remove, merge])
def test_no_allocator_outlives_its_tensors(end: Callable[[nn.Module], None]) -> None:
    gc.collect()
    before = len(hooked())
    trains = model()
    assert len(hooked()) == before + 1
    end(trains)
    assert len(hooked()) == before


def test_a_model_that_goes_takes_its_allocator_along() -> None:
    gc.collect()
    before = len(hooked())
    trains = model()
    del trains
    gc.collect()
    assert len(hooked()) == before


def test_a_failed_apply_leaves_none() -> None:
    gc.collect()
    before = len(hooked())
    with pytest.raises(pefc.SpecError):
        pefc.apply(f"{SPEC}\nlora on attn.qq", llama())
    gc.collect()
    assert len(hooked()) == before
