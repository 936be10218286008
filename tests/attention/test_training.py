"""Prefixes, prompts and adapters train, alone and together, with and without checkpoints."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

import pefc

from ..models import Sdpa, bert, gpt2, llama
from ..runtime import prompt_models
from ..runtime.prompt_models import mistral, t5
from .tuned import (
    BUILDS,
    COMBINED,
    IDS,
    SPECS,
    WRITERS,
    Build,
    assert_near,
    named,
    output,
    tuned,
)

SPEC = pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
LOADED = {
    "prefix": "prefix(len=3) all layers",
    "mlp": "prefix(len=3, mlp=5) all layers",
    "p_tuning": "p_tuning(len=3, h=5)",
    "combined": COMBINED,
}


def gradients(model: nn.Module) -> dict[str, Tensor | None]:
    torch.manual_seed(0)
    output(model).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.requires_grad}


@SPEC
@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("build", [llama, mistral, gpt2, t5, bert], ids=named)
def test_checkpoints_change_no_gradient(build: Build, reentrant: bool, spec: str) -> None:
    model = tuned(build, spec).train()
    expected = gradients(copy.deepcopy(model))
    model.activation_checkpointing_enable({"use_reentrant": reentrant})
    found = gradients(model)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert gradient is not None, name
        assert gradient.abs().max() > 0, name
        assert_near(gradient / expected[name].norm(), expected[name] / expected[name].norm())


def loss(model: nn.Module) -> Tensor:
    """A toy task: one word follows every token, or outputs are zero."""
    if isinstance(model, Sdpa) or model.config.model_type == "bert":
        return output(model).square().mean()
    return model(IDS, labels=torch.full_like(IDS, 7)).loss


def train(model: nn.Module) -> tuple[float, float]:
    optimizer = pefc.optimizer(model, lr=0.1)
    first = loss(model).item()
    for _ in range(20):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    return first, loss(model).item()


@pytest.mark.parametrize("build", BUILDS, ids=named)
def test_all_at_once_train_save_load_and_write(build: Build, tmp_path: Path) -> None:
    model = pefc.apply(COMBINED, build())
    base = {name: p.clone() for name, p in model.named_parameters() if not p.requires_grad}
    start = {name: p.clone() for name, p in model.named_parameters() if p.requires_grad}
    first, last = train(model)
    assert last < 0.9 * first
    now = dict(model.named_parameters())
    assert all(torch.equal(now[name], tensor) for name, tensor in base.items())
    assert not any(torch.equal(now[name], tensor) for name, tensor in start.items())
    pefc.save(model, tmp_path)
    loaded = pefc.load(build(), tmp_path)
    assert torch.equal(output(loaded), output(model))
    if build in WRITERS:
        given = {"max_new_tokens": 5, "do_sample": False}
        assert torch.equal(loaded.generate(IDS, **given), model.generate(IDS, **given))


@pytest.mark.parametrize("spec", LOADED.values(), ids=LOADED)
@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize("build", [llama, t5, bert], ids=named)
def test_what_is_saved_computes_the_same(
    build: Build, resume: bool, spec: str, tmp_path: Path
) -> None:
    model = tuned(build, spec)
    pefc.save(model, tmp_path, resume=resume)
    loaded = pefc.load(build().double(), tmp_path)
    with torch.no_grad():
        assert_near(output(loaded), output(model))
    names, kept = (
        {name for name, p in of.named_parameters() if p.requires_grad} for of in (loaded, model)
    )
    assert (names == kept) == (resume or spec in (LOADED["prefix"], COMBINED))


class Texts(Dataset[dict[str, Tensor]]):
    def __len__(self) -> int:
        return len(IDS)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": IDS[index], "labels": IDS[index]}


@pytest.mark.parametrize("method", ["mlp", "adapter", "p_tuning", "combined"])
def test_trainer_takes_steps_with_checkpoints(method: str, tmp_path: Path) -> None:
    model = pefc.apply(SPECS[method], llama())
    before = {name: p.clone() for name, p in model.named_parameters()}
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=3,
        learning_rate=1e-2,
        per_device_train_batch_size=2,
        activation_checkpointing=True,
        report_to=[],
        save_strategy="no",
        use_cpu=True,
    )
    result = Trainer(model=model, args=arguments, train_dataset=Texts()).train()
    assert result.global_step == 3
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, before[name]) != parameter.requires_grad, name


def test_p_tuning_v2_trains_prefixes_and_the_head() -> None:
    model = pefc.apply("p_tuning_v2(len=3)", prompt_models.bert())
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer, labels = pefc.optimizer(model, lr=3e-2), torch.tensor([2, 2])
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        losses.append(model(IDS, labels=labels).loss)
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < losses[0] / 2
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    layers = [f"bert.encoder.layer.{layer}.attention.self.prefix" for layer in range(2)]
    prefixes = {f"{place}.{name}" for place in layers for name in "KV"}
    assert changed == {*prefixes, "classifier.weight", "classifier.bias"}
