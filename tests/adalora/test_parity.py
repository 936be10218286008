"""The same gradients in, the same ranks out, step for step, as HF PEFT's allocator."""

from itertools import product

import pytest
import torch
from peft import AdaLoraConfig, AdaLoraModel, get_peft_model
from torch import Tensor, nn
from torch.optim import SGD, AdamW

import pefc
from pefc.runtime.ranks.schedule import Schedule

from ..models import llama
from .training import batch, sites

SHARED = {"A": "lora_A", "E": "lora_E", "B": "lora_B"}
SCHEDULES = [
    Schedule(30),
    Schedule(30, start=4),
    Schedule(30, settle=6),
    Schedule(30, start=3, settle=5, every=4),
    Schedule(25, start=4, settle=5, every=5, beta1=0.6, beta2=0.95),
    Schedule(30, start=9, settle=9, every=7),
]


def ours(schedule: Schedule) -> nn.Module:
    numbers = ", ".join(f"{name}={getattr(schedule, name)}" for name in Schedule.__slots__)
    spec = f"adalora(r=6, target=3, alpha=5, orth=0.3, {numbers})"
    return pefc.apply(f"{spec} on attn.{{q,k,v}}, ffn.{{up,down}}", llama().double())


def theirs(schedule: Schedule) -> nn.Module:
    config = AdaLoraConfig(
        init_r=6,
        target_r=3,
        lora_alpha=5,
        orth_reg_weight=0.3,
        total_step=schedule.steps,
        tinit=schedule.start,
        tfinal=schedule.settle,
        deltaT=schedule.every,
        beta1=schedule.beta1,
        beta2=schedule.beta2,
        target_modules=["q_proj", "k_proj", "v_proj", "up_proj", "down_proj"],
        task_type="CAUSAL_LM",
    )
    return get_peft_model(llama().double(), config)


def paired(mine: nn.Module, peer: nn.Module) -> dict[str, tuple[nn.Parameter, nn.Parameter]]:
    """Each tensor of both, with the peer's values copied."""
    found: dict[str, tuple[nn.Parameter, nn.Parameter]] = {}
    for path, own in sites(mine).items():
        layer = peer.base_model.model.get_submodule(path.removesuffix(".adalora"))
        for name, other in SHARED.items():
            found[f"{path}.{name}"] = getattr(own, name), getattr(layer, other)["default"]
    with torch.no_grad():
        for one, two in found.values():
            one.copy_(two)
    assert len(found) == 2 * 5 * 3
    return found


def peer_ranks(peer: nn.Module) -> dict[str, int] | None:
    """The ranks that PEFT noted at its last allocation."""
    pattern = peer.peft_config["default"].rank_pattern
    if pattern is None:
        return None
    return {
        name.replace(".lora_E.default", ".adalora"): sum(kept) for name, kept in pattern.items()
    }


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("kind", [AdamW, SGD], ids=["adamw", "sgd"])
def test_the_same_gradients_give_the_same_ranks(schedule: Schedule, kind: type) -> None:
    torch.manual_seed(3)
    mine, peer = ours(schedule), theirs(schedule)
    pairs = paired(mine, peer)
    optimizers = [kind([pair[side] for pair in pairs.values()], lr=0.01) for side in (0, 1)]
    assert isinstance(peer.base_model, AdaLoraModel)
    generator = torch.Generator().manual_seed(11)
    seen: set[int] = set()
    for step in range(1, schedule.steps + 4):
        for one, two in pairs.values():
            one.grad = torch.randn(one.shape, generator=generator, dtype=torch.float64)
            two.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
        peer.base_model.update_and_allocate(step)
        for path, (one, two) in pairs.items():
            torch.testing.assert_close(one, two, rtol=0, atol=0, msg=f"{path} at step {step}")
        ranks = peer_ranks(peer)
        assert dict(pefc.ranks(mine)) == (ranks or dict.fromkeys(sites(mine), 6))
        seen.add(sum(pefc.ranks(mine).values()))
    assert min(seen) == 3 * 10
    assert len(seen) > 2


def test_a_training_gives_the_same_model() -> None:
    schedule = Schedule(30, start=4, settle=6, every=2)
    torch.manual_seed(3)
    mine, peer = ours(schedule), theirs(schedule)
    pairs = paired(mine, peer)
    optimizers = [AdamW([pair[side] for pair in pairs.values()], lr=0.01) for side in (0, 1)]
    for step in range(1, 31):
        ids = batch(step)
        (mine(ids, labels=ids).loss + pefc.regularizer(mine)).backward()
        peer(input_ids=ids, labels=ids).loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        peer.base_model.update_and_allocate(step)
        for optimizer in optimizers:
            optimizer.zero_grad()
        assert dict(pefc.ranks(mine)) == (peer_ranks(peer) or dict.fromkeys(sites(mine), 6))
    _close(mine(batch(0)).logits, peer(batch(0)).logits)
    for one, two in pairs.values():
        _close(one, two)


def _close(one: Tensor, two: Tensor) -> None:
    torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("start", "settle", "every"), [*product([0, 3, 10], [0, 4], [1, 3, 50])])
def test_budgets_are_those_of_peft(start: int, settle: int, every: int) -> None:
    schedule = Schedule(40, start, settle, every)
    peer = theirs(schedule).base_model.rankallocator
    first, target = peer.init_bgt, peer.target_bgt
    allocated = [step for step in range(1, 41) if schedule.allocates(step)]
    for step in range(1, 41):
        budget, allocates = peer.budget_schedule(step)
        assert schedule.budget(step, first, target) == budget
        if step < schedule.last:
            assert schedule.allocates(step) == allocates
    assert allocated[-1] == 40 - settle
    assert [schedule.step(n) for n in range(schedule.allocations)] == allocated
    assert [schedule.number(step) for step in allocated] == list(range(schedule.allocations))
    for step in range(45):
        assert schedule.done(step) == sum(each <= step for each in allocated)
