"""What `pefc.ranks` says and prints, and what the formula adds to the loss."""

import pytest
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

import pefc

from ..models import llama
from .training import SPEC, STEPS, adamw, live, model, sites, train

PATHS = ("model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj")


def test_ranks_are_those_that_live_at_every_step() -> None:
    trains = model()
    optimizer = adamw(trains)
    course: list[tuple[int, dict[str, int]]] = []
    assert dict(pefc.ranks(trains)) == dict.fromkeys(sites(trains), 5)
    assert pefc.ranks(trains).history == ()
    for step in range(STEPS):
        train(trains, optimizer, range(step, step + 1))
        if 2 < step + 1 <= STEPS - 3:
            course.append((step + 1, live(trains)))
        ranks = pefc.ranks(trains)
        assert dict(ranks) == live(trains)
        assert ranks.history == tuple(course)
    totals = [sum(ranks.values()) for _, ranks in course]
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] == 2 * len(sites(trains))


def test_they_are_printed_as_a_plot_over_time() -> None:
    """Allocations with these budgets of 16 ranks, which two sites share by hand."""
    trains = pefc.apply("adalora(r=8, target=2, steps=8) on attn.q", llama())
    kept = {PATHS[0]: (8, 7, 6, 5, 4, 4, 4, 4), PATHS[1]: (8, 6, 4, 2, 1, 1, 0, 0)}
    for path, course in kept.items():
        tensors = trains.get_submodule(f"{path}.adalora")
        tensors.shrinking.step.fill_(8)
        tensors.shrinking.ranks.copy_(torch.tensor(course))
        tensors.shrinking.kept.copy_(torch.arange(8) < course[-1])
    assert str(pefc.ranks(trains)).splitlines() == [
        f"  0 {PATHS[0]}.adalora   4 {'█' * 20:<40} █▇▆▅▄▄▄▄",
        f"  1 {PATHS[1]}.adalora   0 {'':<40} █▆▄▂▁▁",
        "    over time: steps 1 to 8",
    ]


def test_a_long_course_is_printed_on_one_line() -> None:
    trains = pefc.apply("adalora(r=8, target=2, steps=500) on attn.q", llama())
    for path in PATHS:
        state = trains.get_submodule(f"{path}.adalora").shrinking
        state.step.fill_(500)
        state.ranks.copy_(torch.linspace(8, 2, 500).round())
    first, *_, last = str(pefc.ranks(trains)).splitlines()
    assert first.endswith(" ███▇▇▇▇▇▇▇▆▆▆▆▆▆▅▅▅▅▅▅▅▄▄▄▄▄▄▄▃▃▃▃▃▃▂▂▂▂")
    assert last == "    over time: steps 1 to 500"


def test_other_methods_have_none() -> None:
    ranks = pefc.ranks(pefc.apply("lora(r=2) on attn.q", llama()))
    assert dict(ranks) == {}
    assert str(ranks) == ""
    with pytest.raises(pefc.SpecError, match="nothing-attached"):
        pefc.ranks(llama())


def test_the_regulariser_is_the_formula() -> None:
    trains = model(f"{SPEC.replace('settle=3', 'settle=3, orth=0.7')}")
    expected = torch.zeros((), dtype=torch.float64)
    for site in sites(trains).values():
        a, b, eye = site.A, site.B, torch.eye(5, dtype=torch.float64)
        apart = (a @ a.T - eye).norm() + (b.T @ b - eye).norm()
        expected = expected + 0.7 * apart / 2 / 8
    torch.testing.assert_close(pefc.regularizer(trains), expected, rtol=1e-14, atol=0)


def test_it_is_what_makes_vectors_orthogonal() -> None:
    trains = model("adalora(r=5, target=2, steps=400, orth=4) on attn.q")
    optimizer = adamw(trains)
    with pytest.warns(pefc.SpecWarning, match="the loss does not depend on it"):
        regularize(trains, optimizer)
    for site in sites(trains).values():
        for gram in (site.A @ site.A.T, site.B.T @ site.B):
            assert _off(gram) < 0.05


def regularize(trains: nn.Module, optimizer: Optimizer) -> None:
    for _ in range(300):
        pefc.regularizer(trains).backward()
        optimizer.step()
        optimizer.zero_grad()


def _off(gram: Tensor) -> float:
    return float((gram.detach() - torch.eye(len(gram), dtype=gram.dtype)).abs().max())


def test_an_alias_may_leave_the_steps_open() -> None:
    spec = "method short = adalora(target=1, r=3)\nshort(steps=5) on attn.q as adalora"
    trains = model(spec)
    train(trains, adamw(trains), range(5))
    assert sum(live(trains).values()) == 2
