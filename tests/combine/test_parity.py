"""The same merged change as `add_weighted_adapter` of HF PEFT, for the same tensors."""

from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from peft.utils import merge_utils
from torch import nn

import pefc

from ..parity.models import llama
from .folders import changes, loaded

TOLERANCE = 1e-6
"""Relative, in float64."""
MODULES = ["q_proj", "v_proj"]
NAMES = ("one", "two", "three")
WEIGHTS = (0.7, -0.4, 1.5)
WAYS = {
    "linear": ("linear", {}),
    "cat": ("cat", {}),
    "svd": ("svd", {"rank": 5}),
    "ties": ("ties", {"density": 0.4}),
    "dare": ("dare_linear", {"density": 0.4, "seed": 3}),
    "magnitude": ("magnitude_prune", {"density": 0.4}),
}


def base() -> nn.Module:
    return llama().double().eval()


def theirs(ranks: tuple[int, ...]) -> PeftModel:
    """A model of PEFT with three adapters, whose scales differ."""
    configs = [
        LoraConfig(r=r, lora_alpha=3 + r * n, target_modules=MODULES) for n, r in enumerate(ranks)
    ]
    model = get_peft_model(base(), configs[0], adapter_name=NAMES[0])
    for name, config in zip(NAMES[1:], configs[1:], strict=True):
        model.add_adapter(name, config)
    model = model.double()
    torch.manual_seed(5)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter))
    return model


def saved(model: PeftModel, folder: Path, name: str, rank: int, alpha: int) -> None:
    """One adapter of theirs in a folder of ours."""
    ours = pefc.apply(f"lora(r={rank}, alpha={alpha}) on attn.{{q,v}}", base())
    peers = dict(model.base_model.model.named_parameters())
    with torch.no_grad():
        for path, parameter in ours.named_parameters():
            for factor in "AB":
                if path.endswith(f".lora.{factor}"):
                    peer = path.replace(f".lora.{factor}", f".lora_{factor}.{name}.weight")
                    parameter.copy_(peers[peer])
    pefc.save(ours, folder)


def deltas(model: PeftModel, name: str) -> dict[str, torch.Tensor]:
    return {
        f"{path}.weight": module.get_delta_weight(name)
        for path, module in model.base_model.model.named_modules()
        if isinstance(module, LoraLayer)
    }


def draw_from(generator: torch.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let their masks come from a generator of their own, and not after their initial values."""

    def pruned(tensor: torch.Tensor, density: float, *, rescale: bool) -> torch.Tensor:
        mask = torch.bernoulli(torch.full_like(tensor, density), generator=generator)
        return tensor * mask / (density if rescale else 1)

    monkeypatch.setattr(merge_utils, "random_pruning", pruned)


@pytest.mark.parametrize("way", WAYS)
def test_the_merged_change_is_theirs(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer, options = WAYS[way]
    ranks = (2, 3, 4) if way in {"cat", "svd"} else (4, 4, 4)
    model = theirs(ranks)
    for number, (name, rank) in enumerate(zip(NAMES, ranks, strict=True)):
        saved(model, tmp_path / name, name, rank, 3 + rank * number)
    draw_from(torch.Generator().manual_seed(3), monkeypatch)
    model.add_weighted_adapter(
        list(NAMES),
        list(WEIGHTS),
        "sum",
        combination_type=peer,
        density=options.get("density"),
        svd_rank=options.get("rank"),
    )
    folders = [tmp_path / name for name in NAMES]
    pefc.combine(folders, tmp_path / "out", how=way, weights=WEIGHTS, **options)
    found = changes(loaded(tmp_path / "out", base), base)
    expected = deltas(model, "sum")
    assert len(expected) == 4
    for name, change in expected.items():
        assert change.norm() > 0.1
        assert (found[name] - change).norm() <= TOLERANCE * change.norm(), name
