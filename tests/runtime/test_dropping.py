"""Layers that go without their adapters."""

import copy

import pytest
import torch
from torch import Tensor, nn

from pefc.runtime.calls.adapterdrop import Drop, drawing_names

from .prompting import change

NUMBERS = range(5)


class Tower(nn.Module):
    """Adds one at every layer whose adapter runs, and counts these calls."""

    def __init__(self) -> None:
        super().__init__()
        self.pefc_drops = (Drop(NUMBERS, fixed=1, seed="3"),)
        self.layers = nn.ModuleList(nn.Linear(4, 4) for _ in range(6))

    def forward(self, x: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            if not self.pefc_drops[0].skips(index):
                x = x + layer(x)
        return x


def test_every_step_of_training_draws_and_evaluation_does_not() -> None:
    model = _tower().train()
    drawn = _steps(model, 60)
    assert set(drawn) == set(NUMBERS)
    model.eval()
    assert _steps(model, 3) == [1, 1, 1]


def test_the_seed_fixes_the_numbers_whatever_else_is_random() -> None:
    first = _steps(_tower().train(), 20)
    torch.manual_seed(99)
    assert _steps(_tower().train(), 20) == first
    other = _tower().train()
    other.pefc_drops = (Drop(NUMBERS, fixed=1, seed="4"),)
    assert _steps(other, 20) != first


def test_copies_draw_for_themselves() -> None:
    model = _tower().train()
    _steps(model, 5)
    other = copy.deepcopy(model)
    ahead = _steps(model, 20)
    assert _steps(other, 20) == ahead


@pytest.mark.parametrize("training", [True, False])
def test_layers_that_drop_do_not_run(training: bool) -> None:
    model = _tower().train(training)
    calls: list[int] = []
    for index, layer in enumerate(model.layers):
        layer.register_forward_hook(lambda *_, index=index: calls.append(index))
    for _ in range(10):
        calls.clear()
        model(torch.ones(2, 4))
        assert calls == list(range(model.pefc_drops[0].n, 6))


def test_compiled_training_runs_the_layers_of_each_number() -> None:
    torch.compiler.reset()
    model = _tower().train()
    compiled = torch.compile(model, backend="eager")
    drawn = set()
    for _ in range(30):
        x = torch.randn(2, 4)
        output = compiled(x)
        drawn.add(model.pefc_drops[0].n)
        for layer in model.layers[model.pefc_drops[0].n :]:
            x = x + layer(x)
        assert torch.equal(output, x)
    assert drawn == set(NUMBERS)


def test_compiled_evaluation_is_one_graph() -> None:
    torch.compiler.reset()
    model = _tower().train()
    model(torch.ones(2, 4))
    model.eval()
    x = torch.randn(2, 4)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), model(x))
    assert model.pefc_drops[0].n == 1


def _tower() -> Tower:
    torch.manual_seed(0)
    model = Tower()
    change(model, drawing_names(Tower))
    return model


def _steps(model: Tower, count: int) -> list[int]:
    """The numbers that calls of a model run with."""
    numbers = []
    for _ in range(count):
        model(torch.ones(2, 4))
        numbers.append(model.pefc_drops[0].n)
    return numbers
