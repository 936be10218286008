"""`cat` and `svd` combine changes: exactly, or as near as a rank allows."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import pefc

from ..models import gpt2, llama, plain
from .folders import Build, changes, loaded, saved

WEIGHTS = (0.7, -0.3)
TOLERANCE = 1e-6
"""Relative; the tensors of the result have 32 bits."""

OWN = """\
method twice(rank: int = 2, gain: float = 3) on linear {{
  A: [rank, in] ~ normal(0, 1)
  B: [out, rank] = 0
  let s = gain / 2
  weight -= B @ A * s / rank
}}
twice({arguments}) on attn.{{{{q,v}}}} as own
"""

PAIRS = (
    (plain, "lora(r=2) on attn.{q,v}", "lora(r=3, alpha=7) on attn.{q,v}"),
    (
        gpt2,
        "lora(r=2) on attn.{q,v}; lora(r=4) on ffn.down",
        "lora(r=3) on attn.{q,v}; lora(r=2, alpha=9) on ffn.down",
    ),
    (llama, "rslora(r=2, alpha=5) on linear", "lora(r=3, alpha=4, stable) on linear as rslora"),
    (
        llama,
        "adapterdrop(0..1) { lora(r=2) on attn.q }",
        "adapterdrop(0..1) { lora(r=3, alpha=4) on attn.q }",
    ),
    (
        plain,
        OWN.format(arguments="rank=2").replace("{{", "{").replace("}}", "}"),
        OWN.format(arguments="rank=3, gain=5").replace("{{", "{").replace("}}", "}"),
    ),
)


def expected(models: list[nn.Module], build: Build) -> dict[str, torch.Tensor]:
    """Σ wᵢ ΔWᵢ."""
    parts = [changes(model, build) for model in models]
    return {
        name: sum((w * part[name] for w, part in zip(WEIGHTS, parts, strict=True)), torch.tensor(0))
        for name in parts[0]
    }


@pytest.mark.parametrize(("build", "one", "two"), PAIRS)
@pytest.mark.parametrize("way", ["cat", "svd"])
def test_the_change_is_the_weighted_sum_of_the_changes(
    build: Build, one: str, two: str, way: str, tmp_path: Path
) -> None:
    models = [saved(tmp_path / "a", build, one, seed=1), saved(tmp_path / "b", build, two, seed=2)]
    rank = {"rank": 7} if way == "svd" else {}
    pefc.combine(
        [tmp_path / "a", tmp_path / "b"], tmp_path / "out", how=way, weights=WEIGHTS, **rank
    )
    found = changes(loaded(tmp_path / "out", build), build)
    wanted = expected(models, build)
    assert any(change.norm() > 0.1 for change in wanted.values())
    for name, change in wanted.items():
        assert (found[name] - change).norm() <= TOLERANCE * (1 + change.norm()), name


def test_cat_writes_ranks_that_add_and_scales_of_one(tmp_path: Path) -> None:
    saved(tmp_path / "a", plain, "lora(r=2, alpha=8, dropout=0.1) on attn.q", seed=1)
    saved(tmp_path / "b", plain, "lora(r=3) on attn.q", seed=2)
    pefc.combine([tmp_path / "a", tmp_path / "b"], tmp_path / "out", how="cat")
    assert (tmp_path / "out/spec.peft").read_text() == "lora(r=5, dropout=0.1) on attn.q\n"
    saved(tmp_path / "c", plain, "rslora(r=4) on attn.q", seed=1)
    saved(tmp_path / "d", plain, "rslora(r=5) on attn.q", seed=2)
    pefc.combine([tmp_path / "c", tmp_path / "d"], tmp_path / "out", how="cat")
    assert (tmp_path / "out/spec.peft").read_text() == (
        "lora(r=9, alpha=3, stable=true) on attn.q as rslora\n"
    )


def test_svd_is_the_nearest_of_its_rank(tmp_path: Path) -> None:
    models = [
        saved(tmp_path / n, plain, "lora(r=3) on ffn.down", seed=s) for n, s in (("a", 1), ("b", 2))
    ]
    pefc.combine(
        [tmp_path / "a", tmp_path / "b"], tmp_path / "out", how="svd", weights=WEIGHTS, rank=2
    )
    wanted = expected(models, plain)["tall.weight"]
    found = changes(loaded(tmp_path / "out", plain), plain)["tall.weight"]
    u, s, v = torch.linalg.svd(wanted, full_matrices=False)
    assert (found - u[:, :2] * s[:2] @ v[:2]).norm() <= TOLERANCE * s[0]
    assert (found - wanted).norm() > 0.1 * s[2]


def test_the_result_is_combined_again(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        saved(tmp_path / name, plain, "lora(r=2) on attn.{q,v}", seed=seed)
    pefc.combine([tmp_path / "a", tmp_path / "b"], tmp_path / "ab", how="cat")
    made = pefc.combine([tmp_path / "ab", tmp_path / "a"], tmp_path / "out", how="cat")
    assert made.parameters == 2 * 6 * (24 + 24)
    plan = pefc.plan((tmp_path / "out/spec.peft").read_text(), plain())
    assert plan.trainable == made.parameters


def test_what_the_plan_of_the_result_says_is_what_a_save_of_it_says(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        saved(tmp_path / name, llama, "lora(r=2) on attn.{q,v}; ia3 on ffn.up", seed=seed)
    pefc.combine([tmp_path / "a", tmp_path / "b"], tmp_path / "lin", how="linear")
    for name, seed in (("c", 1), ("d", 2)):
        saved(tmp_path / name, llama, "lora(r=2) on attn.{q,v}", seed=seed)
    pefc.combine([tmp_path / "c", tmp_path / "d"], tmp_path / "cat", how="cat")
    for name in ("lin", "cat"):
        pefc.save(loaded(tmp_path / name, llama), tmp_path / "again")
        ours, again = (
            json.loads((folder / "plan.json").read_text())
            for folder in (tmp_path / name, tmp_path / "again")
        )
        for each in (*ours["plan"]["attachments"], *again["plan"]["attachments"]):
            del each["span"]
        assert ours == again
