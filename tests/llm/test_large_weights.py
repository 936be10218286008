"""A weight may have any number of entries: more than floats of 32 bits count, more than 2³¹."""

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pefc
from pefc.runtime.files.fingerprint import Facts, facts_of, tensor_facts

SIZES = (
    2**24 - 1,
    2**24,
    2**24 + 1,
    2**24 + 2,
    49152 * 576,
    256000 * 4096,
    2**31,
    2**31 + 1,
    2**53,
)


class Wide(nn.Module):
    """One linear map."""

    def __init__(self, *shape: int, device: str | None = None) -> None:
        super().__init__()
        self.map = nn.Linear(*shape, bias=False, device=device)

    def forward(self, x: Tensor) -> Tensor:
        return self.map(x)


@pytest.mark.parametrize("size", SIZES)
def test_samples_are_spread_from_the_first_entry_to_the_last(size: int) -> None:
    found: list[Tensor] = []
    facts_of((size,), lambda places: found.append(places) or places)
    first, *_, last = found[0].tolist()
    assert (first, last) == (0, size - 1)
    steps = found[0].diff()
    assert int(steps.max() - steps.min()) <= 2


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 100, 64 * 24, 576 * 1536, 2**24])
def test_samples_of_small_weights_are_where_saved_adapters_have_them(size: int) -> None:
    values = torch.arange(size)
    places = torch.linspace(0, size - 1, min(8, size)).long()
    expected = [float(f"{place:.4g}") for place in places.float().tolist()]
    assert tensor_facts(values).samples == tuple(expected)


def test_samples_of_nothing_and_of_a_number() -> None:
    assert tensor_facts(torch.ones(0, 3)) == Facts((0, 3), ())
    assert tensor_facts(torch.tensor(2.0)) == Facts((), (2.0,))


def test_a_weight_past_2_to_24_is_told_from_another(tmp_path: Path) -> None:
    model = Wide(4097, 4096, device="meta")
    model.map.weight = nn.Parameter(torch.zeros(4096, 4097))
    assert model.map.weight.numel() > 2**24
    pefc.save(pefc.apply("lora(r=1) on map", model), tmp_path)
    pefc.remove(model)
    pefc.load(model, tmp_path)
    pefc.remove(model)
    with torch.no_grad():
        model.map.weight[-1, -1] += 1
    with pytest.raises(pefc.SpecError, match="other-base"):
        pefc.load(model, tmp_path)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_weight_past_2_to_31_is_sampled_where_it_lies(transposed: bool) -> None:
    rows = torch.arange(2**16, dtype=torch.float32)
    weight = rows[:, None].expand(2**16, 2**16)
    weight = weight.T if transposed else weight
    places = [place * (2**32 - 1) // 7 for place in range(8)]
    expected = [place % 2**16 if transposed else place // 2**16 for place in places]
    facts = tensor_facts(weight)
    assert facts.samples == tuple(float(f"{value:.4g}") for value in expected)
    assert math.prod(facts.shape) == 2**32


def test_a_weight_past_2_to_31_is_saved_and_loaded(tmp_path: Path) -> None:
    model = pefc.apply("lora(r=1) on map", expanded())
    with torch.no_grad():
        model.map.lora.B.fill_(0.5)
    pefc.save(model, tmp_path)
    again = pefc.load(expanded(), tmp_path)
    assert torch.equal(again.map.lora.B, model.map.lora.B)


def expanded() -> nn.Module:
    """A map of 2³¹ + 2¹⁶ entries, all of which are one number in memory."""
    model = Wide(2**16, 2**15 + 1, device="meta")
    model.map.weight = nn.Parameter(torch.full((1, 1), 0.25).expand(2**15 + 1, 2**16))
    return model
