"""Two methods of which HF PEFT gives only a part to compare with."""

from pathlib import Path

import pytest
import torch
from peft import C3AConfig, ShiraConfig
from torch import nn

import pefc

from .models import output, rectangles, states
from .pair import Case, merged, pair, tensors
from .test_linear import assert_equal, assert_same_steps

C3A = Case(
    "c3a",
    rectangles,
    "c3a(size=8) on tall",
    C3AConfig(block_size=8, target_modules=["tall"]),
    {"c3a_kernel.default": "c3a.k"},
)
SHIRA = Case(
    "shira",
    rectangles,
    "shira(r=3, key=5) on wide, tall",
    ShiraConfig(r=3, random_seed=5, target_modules=["wide", "tall"]),
    {"shira_weight.default": "shira.v"},
)


def test_circulant_blocks() -> None:
    """PEFT's gradient of the input is not that of its forward, so it is not compared."""
    both = pair(C3A)
    results = [output(model, states()) for model in (both.ours, both.theirs)]
    for result in results:
        result.square().sum().backward()
    assert_equal(*results)
    mine, other = tensors(both.ours), tensors(both.theirs)
    for name, peer in both.names:
        assert_equal(mine[name].grad, other[peer].grad)
    pefc.merge(both.ours)
    for name, weight in merged(both.theirs).items():
        assert_equal(both.ours.state_dict()[name], weight)


@pytest.mark.filterwarnings("ignore:Sparse invariant checks")
def test_positions_drawn_by_one_seed() -> None:
    """PEFT keeps the same positions in ascending order."""
    both = pair(SHIRA)
    for path in ("wide", "tall"):
        positions = both.ours.get_buffer(f"{path}.shira.I")
        positions.copy_(positions.sort().values)
    assert_same_steps(both)
    pefc.merge(both.ours)
    for name, weight in merged(both.theirs).items():
        assert_equal(both.ours.state_dict()[name], weight)


def test_positions_are_saved_and_stay_whole_numbers(tmp_path: Path) -> None:
    model = pefc.apply("shira(r=2) on tall", rectangles())
    positions = model.get_buffer("tall.shira.I")
    positions.copy_(torch.arange(len(positions)))
    nn.init.normal_(model.get_parameter("tall.shira.v"))
    pefc.save(model, tmp_path / "out")
    narrow = pefc.load(rectangles().to(torch.bfloat16), tmp_path / "out")
    assert torch.equal(narrow.get_buffer("tall.shira.I"), positions)
    loaded = pefc.load(rectangles(), tmp_path / "out")
    x = states().float()
    assert torch.equal(output(loaded, x), output(model, x))
