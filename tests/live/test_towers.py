"""BridgeTower: two towers, one with the attention of torch; no inputs can be made up for it."""

import pytest
import torch
from torch import Tensor
from transformers import BridgeTowerConfig, BridgeTowerModel

import pefc

from ..models import perturb, words

SIZES = {"hidden_size": 64, "num_hidden_layers": 3}
OUT = "vision_model.visual.transformer.resblocks.{}.attn.out_proj"
POOLER = "text_model.pooler.dense"


def towers() -> BridgeTowerModel:
    config = BridgeTowerConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=48,
        text_config={
            **SIZES,
            "vocab_size": 64,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 32,
        },
        vision_config={**SIZES, "patch_size": 8, "image_size": 32},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return BridgeTowerModel(config).eval()


@torch.no_grad()
def answer(model: BridgeTowerModel) -> Tensor:
    pictures = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    found = model(input_ids=words(), pixel_values=pictures).to_tuple()
    return torch.cat([each.flatten() for each in found if isinstance(each, Tensor)])


@pytest.mark.parametrize("method", ["lora(r=2)", "dora(r=2)"])
def test_what_runs_merges(method: str) -> None:
    model = towers()
    before = answer(model)
    missed = ", ".join(f'"{path}"' for path in (POOLER, *(OUT.format(i) for i in range(3))))
    pefc.apply(f"{method} on linear except ({missed})", model)
    torch.testing.assert_close(answer(model), before)
    perturb(model)
    changed = answer(model)
    assert (changed - before).norm() > 0.05 * before.norm()
    torch.testing.assert_close(answer(pefc.merge(model)), changed, atol=1e-3, rtol=1e-3)


def test_what_does_not_run_is_told_and_not_merged() -> None:
    model = towers()
    pefc.apply("lora(r=2) on linear", model)
    perturb(model)
    with pytest.warns(pefc.SpecWarning, match="unreached-sites"):
        changed = answer(model)
    with pytest.raises(pefc.SpecError, match="unproven-merge") as refused:
        pefc.merge(model)
    assert POOLER in str(refused.value) or OUT.format(0) in str(refused.value)
    assert torch.equal(answer(model), changed)
