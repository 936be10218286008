"""Optimizers that know nothing of `with lr`, `with decay`: said once, never without reason."""

import re
import warnings
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer, RAdam
from torch.optim.lr_scheduler import LambdaLR

import pefc

from ..models import llama, words
from .trained import trainer

MIXED = "lora(r=2) on attn.q with lr.B=16x; tune on norm with lr=0.5x"
FIXED = "lora(r=2) on attn.q; tune on norm with lr=0.5"
ALL = "lora(r=2) on attn.q with lr=10x"
TWO = "lora(r=2) on attn.q with lr=2x, lr.B=16x"
DECAY = "lora(r=2) on attn.q; tune on norm with decay=0.1"
PLAIN = "lora(r=2) on attn.q; tune on norm"


def adapted(spec: str) -> nn.Module:
    return pefc.apply(spec, llama()).train()


def trained(model: nn.Module, words: str = "") -> list[nn.Parameter]:
    """What trains and has this in its name."""
    return [p for n, p in model.named_parameters() if p.requires_grad and words in n]


def said(optimizer: Optimizer, model: nn.Module, steps: int = 2) -> list[str]:
    """The warnings of some steps."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        for _ in range(steps):
            model(words(), labels=words()).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return [str(warning.message) for warning in found]


def uniform(model: nn.Module) -> Optimizer:
    return AdamW(trained(model), lr=1e-3, weight_decay=0.0)


def grouped(model: nn.Module, lr: float = 1e-3, **rates: float) -> Optimizer:
    """Groups of a user's own: A, B and norms, with these factors."""
    names = {"a": "lora.A", "b": "lora.B", "norm": "norm"}
    groups = [{"params": trained(model, names[key]), "lr": lr * f} for key, f in rates.items()]
    return SGD(groups, lr=0.1)


@pytest.mark.parametrize(
    ("spec", "clauses"),
    [
        (MIXED, ["with lr.B=16x", "with lr=0.5x"]),
        (FIXED, ["with lr=0.5"]),
        (ALL, ["with lr=10x"]),
        (TWO, ["with lr=2x", "with lr.B=16x"]),
        (DECAY, ["with decay=0.1"]),
    ],
)
def test_one_rate_for_all_is_said_once(spec: str, clauses: list[str]) -> None:
    model = adapted(spec)
    (message,) = said(uniform(model), model)
    assert message.startswith(
        "warning[ignored-rates]: the optimizer that trains this LlamaForCausalLM"
    )
    assert re.findall(r"`(with [^`]*)`", message) == clauses
    assert "`optimizers=(pefc.optimizer(model, lr=…), None)`" in message
    assert said(uniform(model), model) == []


RIGHT: dict[str, tuple[str, Callable[[nn.Module], Optimizer]]] = {
    "no clauses": (PLAIN, uniform),
    "pefc.optimizer": (MIXED, lambda m: pefc.optimizer(m, lr=1e-3)),
    "pefc.optimizer of one rate": (ALL, lambda m: pefc.optimizer(m, lr=1e-4)),
    "its groups": (ALL, lambda m: RAdam(pefc.optimizer(m, lr=1e-4).param_groups)),
    "groups in the right ratios": (MIXED, lambda m: grouped(m, a=1, b=16, norm=0.5)),
    "groups of two factors": (TWO, lambda m: grouped(m, a=2, b=16)),
    "a part of what trains": (MIXED, lambda m: SGD(trained(m, "lora.B"), lr=16e-3)),
    "the rate itself": (FIXED, lambda m: grouped(m, a=1, b=1, norm=500)),
    "the decay that is asked for": (DECAY, lambda m: AdamW(trained(m), weight_decay=0.1)),
    "a decay of none": (f"{ALL}, decay=0", lambda m: grouped(m, a=10, b=10)),
}


@pytest.mark.parametrize("case", RIGHT)
def test_nothing_is_said_where_the_rates_are_right(case: str) -> None:
    spec, make = RIGHT[case]
    model = adapted(spec)
    assert said(make(model), model) == []


def test_groups_in_wrong_ratios() -> None:
    model = adapted(MIXED)
    (message,) = said(grouped(model, a=1, b=8, norm=0.5), model)
    assert re.findall(r"`(with [^`]*)`", message) == ["with lr.B=16x"]


@pytest.mark.parametrize("make", [uniform, lambda m: pefc.optimizer(m, lr=1e-3)])
def test_a_schedule_scales_all_alike(make: Callable[[nn.Module], Optimizer]) -> None:
    model = adapted(MIXED)
    optimizer = make(model)
    schedule = LambdaLR(optimizer, lambda step: step / 4)  # nothing at first
    assert len(said(optimizer, model, steps=1)) == (make is uniform)
    schedule.step()
    assert said(optimizer, model) == []


def test_what_was_removed_asks_for_nothing() -> None:
    model = adapted(MIXED)
    optimizer = uniform(model)
    pefc.remove(model)
    pefc.apply("tune on norm", model)
    assert said(optimizer, model) == []


def test_tasks_that_come_later_have_their_clauses() -> None:
    model = adapted("task a { ia3 on attn.k }")
    pefc.apply("task b { lora(r=2) on attn.q with lr.B=16x }", model)
    pefc.set_task(model, "b")
    (message,) = said(uniform(model), model)
    assert "`with lr.B=16x`" in message


def test_other_models_are_not_asked() -> None:
    assert adapted(MIXED)
    other = adapted(PLAIN)
    assert said(uniform(other), other) == []
    bare = nn.Linear(2, 2)
    optimizer = AdamW(bare.parameters())
    bare(torch.ones(1, 2)).sum().backward()
    optimizer.step()


def test_a_trainer(tmp_path: Path) -> None:
    model = adapted(f"{MIXED}, decay=0.1")
    given = deepcopy(model.state_dict())
    with pytest.warns(pefc.SpecWarning, match="ignored-rates") as found:
        trainer(model, tmp_path / "own", max_steps=2, warmup_steps=2).train()
    assert len(found) == 1
    fresh = adapted(f"{MIXED}, decay=0.1")
    fresh.load_state_dict(given)
    right = (pefc.optimizer(fresh, lr=1e-3), None)
    trainer(fresh, tmp_path / "right", max_steps=2, warmup_steps=2, optimizers=right).train()
