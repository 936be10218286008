"""Optimizers: kinds, groups, and that both outlive a Trainer."""

import warnings
from pathlib import Path

import bitsandbytes
import pytest
import torch
from torch import nn
from torch.optim import Optimizer

import pefc

from ..models import llama, words
from .trained import losses, trainer, values

SPEC = "lora(r=2) on attn.{q,v} with lr.B=16x, decay=0.1; tune on norm with lr=0.5x, decay=0"
RATES = {(0.01, 0.1), (0.16, 0.1), (0.005, 0)}
FALLS_BACK = {"paged_adamw": torch.optim.AdamW, "paged_adamw8bit": bitsandbytes.optim.AdamW8bit}


def adapted() -> nn.Module:
    return pefc.apply(SPEC, llama())


def groups(optimizer: Optimizer) -> set[tuple[float, float]]:
    """The rate and the decay of each group."""
    return {(round(g["lr"], 6), g["weight_decay"]) for g in optimizer.param_groups}


def steps(model: nn.Module, optimizer: Optimizer, count: int = 3) -> list[float]:
    found = []
    for _ in range(count):
        loss = model(words(), labels=words()).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("kind", ["adamw", "adamw8bit", *FALLS_BACK])
def test_every_kind_trains_with_the_groups_of_the_spec(kind: str) -> None:
    model = adapted()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        optimizer = pefc.optimizer(model, lr=0.01, kind=kind, betas=(0.8, 0.9))
        first, *_, last = steps(model, optimizer)
    assert groups(optimizer) == RATES
    assert {group["betas"] for group in optimizer.param_groups} == {(0.8, 0.9)}
    assert last < first - 0.1
    expected = [pefc.SpecWarning] if kind in FALLS_BACK else []
    assert [warning.category for warning in said] == expected


@pytest.mark.parametrize("kind", ["adamw", "adamw8bit"])
def test_options_are_those_of_the_class(kind: str) -> None:
    with pytest.raises(TypeError, match="has no option `beta`: did you mean `betas`"):
        pefc.optimizer(adapted(), kind=kind, beta=(0.8, 0.9))
    with pytest.raises(TypeError, match="here it is `decay`"):
        pefc.optimizer(adapted(), kind=kind, weight_decay=0.1)


def test_the_spec_may_be_given_and_is_the_one_that_is_carried() -> None:
    text = "param r = 2\nrecipe both(rank: int) { lora(r=rank) on attn.q with lr.B=16x }\nboth(r)\n"
    model = pefc.apply(text, llama(), params={"r": 4})
    same = "lora(4, alpha=4) on model.*.*.self_attn.q_proj with lr.B = 16x"
    for optimizer in (
        pefc.optimizer(model, pefc.parse(same)),
        pefc.optimizer(model, text, params={"r": 4}),
    ):
        assert groups(optimizer) == {(0.001, 0), (0.016, 0)}
    with pytest.raises(pefc.SpecError, match="this LlamaForCausalLM carries another"):
        pefc.optimizer(model, text)


@pytest.mark.parametrize("kind", FALLS_BACK)
def test_without_pages_the_same_is_computed(kind: str) -> None:
    with pytest.warns(pefc.SpecWarning, match=rf"not-paged\]: `{kind}` is `\w+` on a CPU") as found:
        optimizer = pefc.optimizer(adapted(), lr=0.01, kind=kind)
    assert found[0].filename == __file__
    assert type(optimizer) is FALLS_BACK[kind]
    assert not getattr(optimizer, "is_paged", False)


def test_states_of_eight_bits() -> None:
    wide = "lora(r=256) on attn.q"
    model = pefc.apply(wide, llama())
    optimizer = pefc.optimizer(model, lr=0.01, kind="adamw8bit")
    steps(model, optimizer, 1)
    states = [optimizer.state[p]["state1"].dtype for p in values_of(optimizer)]
    assert set(states) == {torch.uint8}


def values_of(optimizer: Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@pytest.mark.parametrize("kind", ["adamw", "adamw8bit"])
def test_groups_and_schedule_under_a_trainer(tmp_path: Path, kind: str) -> None:
    model = adapted()
    optimizer = pefc.optimizer(model, lr=0.01, kind=kind)
    made = trainer(model, tmp_path, optimizers=(optimizer, None), lr_scheduler_type="linear")
    made.train()
    assert {id(p) for p in values_of(optimizer)} == {
        id(p) for p in model.parameters() if p.requires_grad
    }
    rates = [rate for entry in made.state.log_history if (rate := entry.get("learning_rate"))]
    assert rates == pytest.approx([rates[0] * (6 - step) / 6 for step in range(6)])
    scheduler = made.lr_scheduler
    assert scheduler is not None
    assert {round(rate, 6) for rate in scheduler.base_lrs} == {rate for rate, _ in RATES}
    assert {group["initial_lr"] for group in optimizer.param_groups} == set(scheduler.base_lrs)


@pytest.mark.parametrize("kind", ["adamw", "adamw8bit"])
def test_a_trainer_resumes_it_exactly(tmp_path: Path, kind: str) -> None:
    spec = f"{SPEC}; lora(r=176) on attn.o"
    found = []
    for folder, resume in (("whole", None), ("again", tmp_path / "whole" / "checkpoint-3")):
        torch.manual_seed(5)
        model = pefc.apply(spec, llama())
        optimizer = pefc.optimizer(model, lr=0.01, kind=kind)
        given = {"save_strategy": "steps", "save_steps": 3}
        made = trainer(model, tmp_path / folder, optimizers=(optimizer, None), **given)
        made.train(resume_from_checkpoint=resume and str(resume))
        found.append((losses(made), values(model)))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(value, found[1][1][name]) for name, value in found[0][1].items())


def test_groups_for_the_optimizer_of_a_trainer(tmp_path: Path) -> None:
    """As the documentation has it, for a class that `pefc.optimizer` does not know."""
    model = adapted()
    given = {"params": pefc.optimizer(model, lr=0.01).param_groups}
    made = trainer(model, tmp_path, optimizer_cls_and_kwargs=(torch.optim.RAdam, given))
    made.train()
    optimizer = made.optimizer
    assert optimizer is not None
    assert {group["initial_lr"] for group in optimizer.param_groups} == {0.01, 0.16, 0.005}
