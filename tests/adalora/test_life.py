"""Saving with the ranks that are left, going on where a training stopped, merging, tasks."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import Trainer, TrainingArguments

import pefc

from ..models import gpt2, llama
from .training import (
    EXACT,
    SPEC,
    STEPS,
    adamw,
    assert_equal,
    batch,
    live,
    logits,
    model,
    sites,
    step_of,
    train,
    trained,
)

TENSORS = {"A": 0, "E": 0, "B": 1}
"""The axis of ranks."""


def finished(spec: str = SPEC) -> nn.Module:
    trains = model(spec)
    train(trains, adamw(trains), range(STEPS))
    return trains


def test_saved_tensors_are_cut_to_the_ranks_that_are_left(tmp_path: Path) -> None:
    trains = finished()
    left = live(trains)
    assert min(left.values()) < max(left.values())
    pefc.save(trains, tmp_path)
    saved = load_file(tmp_path / "adapter.safetensors")
    assert {tuple(path.rpartition(".")[::2]) for path in saved} == {
        (path, name) for path in left for name in TENSORS
    }
    for path, rank in left.items():
        for name, axis in TENSORS.items():
            assert saved[f"{path}.{name}"].shape[axis] == rank
    loaded = pefc.load(llama().double(), tmp_path)
    torch.testing.assert_close(logits(loaded), logits(trains), **EXACT)
    assert dict(pefc.ranks(loaded)) == left


def test_a_site_may_lose_all_ranks(tmp_path: Path) -> None:
    trains = finished()
    first = next(iter(sites(trains).values()))
    with torch.no_grad():
        first.E.zero_()
    first.shrinking.kept.zero_()
    pefc.save(trains, tmp_path)
    loaded = pefc.load(llama().double(), tmp_path)
    torch.testing.assert_close(logits(loaded), logits(trains), **EXACT)
    assert next(iter(pefc.ranks(loaded).values())) == 0
    pefc.regularizer(loaded).backward()
    grads = [parameter.grad for parameter in trained(loaded)]
    assert all(grad is None or grad.isfinite().all() for grad in grads)
    assert sum(grad is not None for grad in grads) == 2 * 8
    torch.testing.assert_close(logits(pefc.merge(loaded)), logits(trains), **EXACT)


def test_what_was_cut_is_saved_and_trained_as_it_is(tmp_path: Path) -> None:
    trains = finished()
    pefc.save(trains, tmp_path / "one")
    loaded = pefc.load(llama().double(), tmp_path / "one")
    train(loaded, adamw(loaded), range(3))
    assert dict(pefc.ranks(loaded)) == live(trains)
    assert pefc.ranks(loaded).history == ()
    pefc.save(loaded, tmp_path / "two")
    again = pefc.load(llama().double(), tmp_path / "two")
    torch.testing.assert_close(logits(again), logits(loaded), **EXACT)
    assert not torch.equal(logits(loaded), logits(trains))


def test_slices_of_a_fused_map_are_cut_each(tmp_path: Path) -> None:
    spec = "adalora(r=5, target=2, steps=8) on attn.{q,v}"
    trains = pefc.apply(spec, gpt2().double())
    train(trains, adamw(trains), range(8))
    pefc.save(trains, tmp_path)
    loaded = pefc.load(gpt2().double(), tmp_path)
    ranks = pefc.ranks(loaded)
    assert sum(ranks.values()) == 8
    assert len(set(ranks.values())) > 1
    torch.testing.assert_close(logits(loaded), logits(trains), **EXACT)


def test_an_early_save_says_so_and_keeps_the_outputs(tmp_path: Path) -> None:
    """Between two allocations an optimizer brings ranks back: they are kept."""
    spec = "adalora(r=5, target=2, steps=12, every=4) on attn.{q,v}"
    trains = model(spec)
    train(trains, adamw(trains), range(6))
    assert live(trains) != dict(pefc.ranks(trains))
    with pytest.warns(pefc.SpecWarning, match="unfinished-shrinking"):
        pefc.save(trains, tmp_path)
    loaded = pefc.load(llama().double(), tmp_path)
    torch.testing.assert_close(logits(loaded), logits(trains), **EXACT)
    assert dict(pefc.ranks(loaded)) == live(trains)


def test_a_formula_that_misses_a_rank_is_saved_whole(tmp_path: Path) -> None:
    """Without its E, a rank of this one still adds B @ A."""
    spec = """
    method odd(r: int = 4, steps: int) on linear {
      A: [r, in]  ~ normal(0, 0.1)
      E: [r, 1]   = 0
      B: [out, r] ~ normal(0, 0.1)
      weight += B @ ((1 + E) * A)
      shrink r to 2 by sensitivity(steps=steps)
    }
    odd(steps=6) on attn.q as adalora
    """
    trains = model(spec)
    train(trains, adamw(trains), range(6))
    pefc.save(trains, tmp_path)
    loaded = pefc.load(llama().double(), tmp_path)
    assert set(pefc.ranks(loaded).values()) == {4}
    torch.testing.assert_close(logits(loaded), logits(trains), **EXACT)


def test_the_divisor_stays_when_axes_are_cut(tmp_path: Path) -> None:
    """Where r is a size it is the length of the axis, elsewhere the number that was given."""
    spec = """
    method divided(r: int = 4, steps: int) on linear {
      A: [r, in]  ~ normal(0, 0.1)
      E: [r]      = 0
      B: [out, r] ~ normal(0, 0.1)
      weight += B @ diag(E) @ A / r + B @ (E.reshape(r, 1) * eye(r)) @ A
      loss += norm(A @ A.T - eye(r))
      shrink r to 2 by sensitivity(steps=steps)
    }
    divided(steps=6) on attn.q as adalora
    """
    trains = model(spec)
    train(trains, adamw(trains), range(6))
    pefc.save(trains, tmp_path)
    loaded = pefc.load(llama().double(), tmp_path)
    assert sum(pefc.ranks(loaded).values()) == 4
    torch.testing.assert_close(logits(loaded), logits(trains), **EXACT)
    assert pefc.regularizer(loaded).isfinite()


@pytest.mark.parametrize("stop", [1, 5, 10])
def test_a_training_goes_on_where_it_stopped(tmp_path: Path, stop: int) -> None:
    """At the beginning, while ranks go, and when they settle."""
    whole, part = finished(), model()
    first = adamw(part)
    train(part, first, range(stop))
    pefc.save(part, tmp_path, resume=True)
    part = pefc.load(llama().double(), tmp_path)
    second = adamw(part)
    second.load_state_dict(first.state_dict())
    train(part, second, range(stop, STEPS))
    assert_equal(whole, part)
    assert pefc.ranks(whole).history == pefc.ranks(part).history
    assert pefc.ranks(whole).history[-1][0] == STEPS - 3


def test_a_state_dict_carries_the_training() -> None:
    whole, part, other = finished(), model(), model()
    first = adamw(part)
    train(part, first, range(5))
    other.load_state_dict(part.state_dict())
    second = adamw(other)
    second.load_state_dict(first.state_dict())
    train(other, second, range(5, STEPS))
    assert_equal(whole, other)


class Rows(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 3 * STEPS

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        ids = batch(row)[0]
        return {"input_ids": ids, "labels": ids}


def by_trainer(model: nn.Module, folder: Path, **options: object) -> Trainer:
    arguments = TrainingArguments(
        str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=3,
        learning_rate=0.02,
        report_to=[],
        save_steps=5,
        use_cpu=True,
        disable_tqdm=True,
        **options,
    )
    return Trainer(model, arguments, train_dataset=Rows())


def test_trainer_resumes_exactly(tmp_path: Path) -> None:
    whole, part = model(), model()
    by_trainer(whole, tmp_path).train()
    assert sum(live(whole).values()) == 2 * 8
    by_trainer(part, tmp_path / "other").train(
        resume_from_checkpoint=str(tmp_path / "checkpoint-5")
    )
    assert_equal(whole, part)


def test_accumulated_batches_are_one_step(tmp_path: Path) -> None:
    trains = model()
    by_trainer(trains, tmp_path, gradient_accumulation_steps=2, save_strategy="no").train()
    assert step_of(trains) == STEPS
    assert sum(live(trains).values()) == 2 * 8


def test_merging_folds_what_is_left() -> None:
    trains = finished()
    before = logits(trains)
    pefc.merge(trains)
    assert not sites(trains)
    torch.testing.assert_close(logits(trains), before, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("lengths", "code"),
    [
        ({"r": -1}, "damaged-adapter"),
        ({"r": "2"}, "damaged-adapter"),
        ({"alpha": 2}, "damaged-adapter"),
        ({}, "other-sites"),
        (["r"], "damaged-adapter"),
    ],
    ids=["negative", "text", "no axis", "none", "a list"],
)
def test_lengths_that_pefc_does_not_write_are_refused(
    tmp_path: Path, lengths: object, code: str
) -> None:
    pefc.save(finished(), tmp_path)
    manifest = tmp_path / "plan.json"
    content = json.loads(manifest.read_text())
    content["plan"]["attachments"][0]["lengths"] = lengths
    manifest.write_text(json.dumps(content))
    with pytest.raises(pefc.SpecError, match=code):
        pefc.load(llama().double(), tmp_path)


def test_other_lengths_than_those_of_the_tensors_are_refused(tmp_path: Path) -> None:
    pefc.save(finished(), tmp_path)
    manifest = tmp_path / "plan.json"
    content = json.loads(manifest.read_text())
    content["plan"]["attachments"][0]["lengths"]["r"] += 1
    manifest.write_text(json.dumps(content))
    with pytest.raises(pefc.SpecError, match="other-sites"):
        pefc.load(llama().double(), tmp_path)
