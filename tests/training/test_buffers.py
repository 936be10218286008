"""Buffers that a forward changes while it trains belong to what was trained."""

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import ResNetConfig, ResNetForImageClassification

import pefc
from pefc.compiler.merge.folder.merge_folder import merge_folder
from pefc.compiler.merge.merged_module import Wish

from ..laws.snapshots import Snapshot
from ..models import Buffered, pictures
from .trained import SAVING, assert_same, trainer

SPEC = 'lora(r=2) on up, "last"; tune on norm'
STATE = "model.safetensors"


def buffered() -> Buffered:
    torch.manual_seed(0)
    return Buffered().eval()


def trained(model: nn.Module) -> nn.Module:
    """A few steps; what they leave is looked at in evaluation."""
    optimizer = pefc.optimizer(model.train(), lr=0.05)
    for seed in range(3):
        model(pictures(seed)).square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


def test_what_training_changed_is_saved_and_comes_out_again(tmp_path: Path) -> None:
    model, x = buffered(), pictures()
    before, names = Snapshot.of(model), set(dict(model.named_buffers()))
    pefc.save(trained(pefc.apply(SPEC, model)), tmp_path / "out")
    assert set(json.loads((tmp_path / "out" / "plan.json").read_text())["buffers"]) == names - {
        "scratch",
        "packed",
    }
    fresh = pefc.load(buffered(), tmp_path / "out")
    assert torch.equal(fresh(x), model(x))
    pefc.save(fresh, tmp_path / "again")
    files = [tmp_path / name / "adapter.safetensors" for name in ("out", "again")]
    assert files[0].read_bytes() == files[1].read_bytes()
    for each in (deepcopy(model), model, fresh):
        pefc.remove(each)
        assert all(
            torch.equal(value, buffered().state_dict()[n]) for n, value in each.state_dict().items()
        )
    model.zero_grad()
    before.assert_same(model)


def test_what_did_not_change_is_not_saved(tmp_path: Path) -> None:
    model = pefc.apply(SPEC, buffered())
    model.train()
    for module in (model.batch, model.norm, model.down, model.scale):
        module.eval()
    model(pictures()).square().mean().backward()
    model.bfloat16()
    pefc.save(model, tmp_path)
    assert "buffers" not in json.loads((tmp_path / "plan.json").read_text())
    assert not any("running" in name for name in load_file(tmp_path / "adapter.safetensors"))


def test_a_buffer_without_a_value_gets_one_and_loses_it(tmp_path: Path) -> None:
    def lazy() -> Buffered:
        model = buffered()
        model.scale.register_buffer("mean", None)
        return model

    model = pefc.apply(SPEC, lazy())
    model.scale.mean = torch.ones(4)
    pefc.save(trained(model), tmp_path)
    fresh = pefc.load(lazy(), tmp_path)
    assert torch.equal(fresh(pictures()), model(pictures()))
    assert pefc.remove(fresh).scale.mean is None


@pytest.mark.parametrize("how", ["missing", "shape"])
def test_buffers_without_a_place_are_refused(tmp_path: Path, how: str) -> None:
    pefc.save(trained(pefc.apply(SPEC, buffered())), tmp_path)
    other = buffered()
    if how == "missing":
        del other.scale._buffers["mean"]
    else:
        other.scale.mean = torch.zeros(5)
    before = Snapshot.of(other)
    with pytest.raises(pefc.SpecError, match="reaches other modules") as caught:
        pefc.load(other, tmp_path)
    (label,) = caught.value.diagnostics[0].labels()
    assert label.text.startswith("`scale.mean` has ")
    before.assert_same(other)


def test_a_merge_keeps_them_and_can_be_undone() -> None:
    base, x = buffered(), pictures()
    state = deepcopy(base.state_dict())
    model = trained(pefc.apply(SPEC, base))
    expected = model(x)
    pefc.merge(model, keep_base=True)
    torch.testing.assert_close(model(x), expected, rtol=1e-5, atol=1e-6)
    trained(pefc.apply(SPEC, model))
    pefc.merge(model, keep_base=True)
    pefc.remove(model)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_tasks_share_the_buffers_of_their_base(tmp_path: Path) -> None:
    task = "task {0} {{ lora(r=2) on up }}"
    model, x = buffered(), pictures()
    pefc.set_task(pefc.apply(task.format("one"), model), "one")
    pefc.save(trained(model), tmp_path / "one", task="one")
    alone = pefc.set_task(pefc.load(buffered(), tmp_path / "one", task="here"), "here")
    assert torch.equal(alone(x), model(x))
    pefc.load(model, tmp_path / "one", task="two")
    plain = pefc.apply(task.format("two"), buffered())
    pefc.save(plain, tmp_path / "two")
    before = Snapshot.of(plain)
    for other, folder in ((plain, "one"), (model, "two")):
        with pytest.raises(pefc.SpecError, match="other buffers of the base"):
            pefc.load(other, tmp_path / folder, task="three")
    before.assert_same(plain)


class Pictures(torch.utils.data.Dataset[dict[str, torch.Tensor | int]]):
    """Noise, in three classes."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, row: int) -> dict[str, torch.Tensor | int]:
        return {"pixel_values": pictures(row, rows=1)[0], "labels": row % 3}


def resnet() -> ResNetForImageClassification:
    torch.manual_seed(1)
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        num_labels=3,  # pyright: ignore[reportCallIssue]
    )
    return ResNetForImageClassification(config)


BATCH = {"tuned": "tune on :BatchNorm2d", "frozen": "lora(r=2) on :Linear"}


@pytest.mark.parametrize("spec", BATCH.values(), ids=BATCH)
def test_a_trainer_resumes_with_them(tmp_path: Path, spec: str) -> None:
    made = [
        trainer(pefc.apply(spec, resnet()), tmp_path / folder, **SAVING)
        for folder in ("whole", "again")
    ]
    for each in made:
        each.train_dataset = Pictures()
    made[0].train()
    model = made[0].model
    assert model is not None
    made[1].train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert_same(*made)
    fresh = pefc.load(resnet(), tmp_path / "whole" / "checkpoint-6")
    x = pictures()
    assert torch.equal(fresh.eval()(x).logits, model.eval()(x).logits)
    assert not torch.equal(resnet().eval()(x).logits, model(x).logits)


def test_a_base_in_a_folder_gets_them(tmp_path: Path) -> None:
    base = resnet()
    base.save_pretrained(tmp_path / "base")
    made = trainer(pefc.apply("lora(r=2) on :Linear", base), tmp_path / "out", **SAVING)
    made.train_dataset = Pictures()
    made.train()
    pefc.save(base, tmp_path / "adapter")
    merge_folder(tmp_path / "base", tmp_path / "adapter", tmp_path / "merged", Wish(loss=1.0))
    merged = ResNetForImageClassification.from_pretrained(tmp_path / "merged").eval()
    x = pictures()
    torch.testing.assert_close(merged(x).logits, base.eval()(x).logits, rtol=1e-5, atol=1e-6)
    counts = merged.resnet.embedder.embedder.normalization.num_batches_tracked
    assert int(counts) == 6
