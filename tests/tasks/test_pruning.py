"""`pefc.prune`: the tasks that have most weight at each fusion stay, and nothing else changes."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pefc

from ..blocks.models import KINDS, Kind
from ..laws.snapshots import Snapshot
from ..models import words
from .models import MODELS, computed, tasked
from .test_fusion import TASKS, WRITERS, assert_fused, moved, part, spec

SCORES = ((1.0, 3.0, 2.0), (2.5, 0.5, 1.0))
"""Of the tasks, in each of two layers."""
KEPT = (("green", "blue"), ("red", "blue"))
NAMED = {kind.name: kind for kind in KINDS}


def batches(model: nn.Module) -> list[object]:
    """Two batches of different sizes, by keywords and, where one tensor is enough, alone."""
    if model.__class__.__name__.startswith("T5"):
        return [{"input_ids": words(), "decoder_input_ids": words(length=n)} for n in (3, 5)]
    if type(model).__name__ == "Sdpa":
        return [words(), words(rows=4)]
    return [{"input_ids": words()}, words(rows=4)]


def weighing(model: nn.Module) -> nn.Module:
    """A fused model that weighs its tasks alike at each token, so that the weights are known.

    The change of a task is a constant vector with its score in front; queries are the first unit
    vector, keys the changes themselves.
    """
    with torch.no_grad():
        for path in _fusions(model):
            home = path.removesuffix(".fusion.fuse")
            scores = SCORES[int(next(bit for bit in home.split(".") if bit.isdigit()))]
            for task, score in zip(TASKS, scores, strict=True):
                up = model.get_submodule(f"{home}.{task}.adapter.up")
                up.weight.zero_()
                up.bias.zero_()
                # The second task doubles what its bottleneck says.
                up.bias[0] = score / (2 if task == "green" else 1)
            tensors = part(model, path)
            for name in ("Q.weight", "Q.bias", "K.bias"):
                tensors[name].zero_()
            tensors["Q.bias"][0] = 1
            tensors["K.weight"].copy_(torch.eye(24))
    return model


def _fusions(model: nn.Module) -> list[str]:
    return [name for name, _ in model.named_modules() if name.endswith(".fusion.fuse")]


def layer_of(path: str) -> int:
    return int(next(bit for bit in path.split(".") if bit.isdigit()))


@pytest.mark.parametrize("blocks", ["ffn", "ffn, attn"])
@pytest.mark.parametrize("name", MODELS)
def test_the_heaviest_stay(name: str, blocks: str) -> None:
    model = weighing(tasked(name, spec(blocks)))
    homes = {path.removesuffix(".fusion.fuse") for path in _fusions(model)}
    before = dict(model.state_dict())
    kept = pefc.prune(model, batches(model), keep=2)
    assert kept == {home: KEPT[layer_of(home)] for home in homes}
    after = dict(model.state_dict())
    assert after.keys() == before.keys()
    assert all(torch.equal(after[key], value) for key, value in before.items())
    with torch.no_grad():
        computed(model)
    for path, value in pefc.gates(model).items():
        layer = layer_of(path)
        stay = [SCORES[layer][TASKS.index(task)] for task in KEPT[layer]]
        expected = torch.tensor(stay, dtype=torch.double).softmax(0).expand_as(value)
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", [NAMED[name] for name in MODELS], ids=lambda kind: kind.name)
def test_what_is_left_is_the_fusion_of_those_that_stay(kind: Kind, tmp_path: Path) -> None:
    model = weighing(pefc.apply(spec(), kind.build().double()))
    kept = pefc.prune(model, batches(model), keep=2)
    assert set(kept.values()) == set(KEPT)
    moved(model)
    assert_fused(kind, model, kept)
    pefc.save(model, tmp_path)
    loaded = pefc.load(kind.build().double(), tmp_path)
    assert torch.equal(computed(loaded), computed(model))
    assert_fused(kind, loaded, kept)
    assert (tmp_path / "spec.peft").read_text().count("fuse(") == 2
    for task in TASKS:
        for each in (loaded, model):
            pefc.set_task(each, task)
        assert torch.equal(computed(loaded), computed(model))


@pytest.mark.parametrize("name", WRITERS)
@torch.no_grad()
def test_a_pruned_model_writes(name: str) -> None:
    model = weighing(tasked(name, spec()))
    pefc.prune(model, batches(model), keep=2)
    moved(model)
    given = {"max_new_tokens": 6, "do_sample": False, "eos_token_id": None, "pad_token_id": 1}
    cached, full = (model.generate(words(), use_cache=use, **given) for use in (True, False))
    assert torch.equal(cached, full)


def test_it_is_pruned_again_until_two_are_left() -> None:
    model = weighing(tasked("llama", spec()))
    assert set(pefc.prune(model, batches(model), keep=3).values()) == {TASKS}
    assert set(pefc.prune(model, batches(model), keep=2).values()) == set(KEPT)
    with pytest.raises(pefc.SpecError, match="no fusion has 3 tasks to keep"):
        pefc.prune(model, batches(model), keep=3)


def test_tokens_weigh_alike_whichever_batch_they_are_in() -> None:
    """The mean is over all tokens: three short texts do not outweigh a long one."""
    model = moved(tasked("llama", spec()))
    texts = [words(rows=1, length=2), words(rows=3, length=9)]
    weights: dict[str, list[Tensor]] = {}
    with torch.no_grad():
        for text in texts:
            computed(model, text)
            for path, value in pefc.gates(model).items():
                weights.setdefault(path, []).extend(value.flatten(0, 1))
    expected = {
        path.removesuffix(".fusion.fuse"): set(torch.stack(each).mean(0).topk(2).indices.tolist())
        for path, each in weights.items()
    }
    kept = pefc.prune(model, iter(texts), keep=2)
    assert {path: {TASKS.index(t) for t in tasks} for path, tasks in kept.items()} == expected


def failing() -> object:
    yield words()
    raise RuntimeError("the disk is full")


MISTAKES: dict[str, Callable[[nn.Module], object]] = {
    "few": lambda model: pefc.prune(model, [words()], keep=1),
    "many": lambda model: pefc.prune(model, [words()], keep=4),
    "nothing": lambda model: pefc.prune(model, [], keep=2),
    "a batch": lambda model: pefc.prune(model, [words(), "the film was good"], keep=2),
    "the data": lambda model: pefc.prune(model, failing(), keep=2),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_failure_leaves_the_model_as_it_was(mistake: str) -> None:
    model = moved(tasked("llama", spec())).train()
    model.model.layers[0].eval()
    pefc.set_task(model, "blue")
    before = Snapshot.of(model)
    modes = [module.training for module in model.modules()]
    expected = computed(model)
    with pytest.raises(RuntimeError if mistake == "the data" else pefc.SpecError):
        MISTAKES[mistake](model)
    before.assert_same(model)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(computed(model), expected)
