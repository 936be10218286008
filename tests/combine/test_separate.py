"""Ways that go tensor by tensor, for every method."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import pefc
from pefc.compiler.combine.options import Wanted
from pefc.compiler.combine.ways import combined

from ..models import llama, perturb, plain
from .folders import loaded, saved

Run = Callable[..., object]
SPEC = "ia3 on attn.k; vera(r=2) on ffn.up; dora(r=2) on attn.q; adapter(r=3) on ffn; tune on norm"


def values(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "adapter.safetensors")


def test_a_mean_of_every_method_loads(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        saved(tmp_path / name, llama, SPEC, seed=seed)
    pefc.combine([tmp_path / "a", tmp_path / "b"], tmp_path / "out", how="linear")
    one, two, out = (values(tmp_path / name) for name in ("a", "b", "out"))
    assert out.keys() == one.keys()
    for name, value in out.items():
        frozen = name.startswith("vera.")
        assert torch.allclose(value, one[name] if frozen else (one[name] + two[name]) / 2)
    loaded(tmp_path / "out", llama)


def test_what_starts_at_one_is_pruned_to_one(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        saved(tmp_path / name, plain, "ia3 on attn.k", seed=seed)
    folders = [tmp_path / "a", tmp_path / "b"]
    pefc.combine(folders, tmp_path / "out", how="magnitude", density=0.25, weights=[1, 1])
    one, two, out = (next(iter(values(tmp_path / name).values())) for name in ("a", "b", "out"))
    kept = [
        change * (change.abs() >= change.abs().sort().values[-6]) for change in (one - 1, two - 1)
    ]
    assert torch.allclose(out, 1 + kept[0] + kept[1])
    assert (out == 1).sum() >= 12


def test_ties_by_hand() -> None:
    tensors = [torch.tensor([3.0, -1.0, 4.0, 0.5]), torch.tensor([-5.0, -2.0, 6.0, 0.1])]
    wanted = Wanted("ties", (1.0, 1.0), density=0.75)
    found = combined(tensors, wanted.weights, wanted, torch.Generator())
    assert found.tolist() == [-5.0, -1.5, 5.0, 0.0]


def test_the_seed_decides_what_dare_leaves_out(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 2)):
        saved(tmp_path / name, plain, "lora(r=2) on attn.q", seed=seed)
    made = []
    for seed in (0, 0, 1):
        pefc.combine(
            [tmp_path / "a", tmp_path / "b"], tmp_path / "out", how="dare", density=0.5, seed=seed
        )
        made.append(values(tmp_path / "out")["a.lora.A"])
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


@pytest.mark.parametrize("way", ["linear", "cat"])
def test_tasks_become_one_adapter_of_no_task(way: str, tmp_path: Path) -> None:
    model = pefc.apply("task movies { lora(r=2) on attn.q in layers 0..1 }", llama())
    perturb(model, seed=1)
    pefc.save(model, tmp_path / "a", task="movies")
    saved(tmp_path / "b", llama, "lora(r=2) on attn.q", seed=2)
    pefc.combine([tmp_path / "a", tmp_path / "b"], tmp_path / "out", how=way, weights=[1, 0])
    assert "task" not in (tmp_path / "out/spec.peft").read_text()
    made, peer = loaded(tmp_path / "out", llama), pefc.set_task(model, "movies")
    ids = torch.arange(6)[None]
    assert torch.allclose(made(ids).logits, peer(ids).logits, atol=1e-5)
