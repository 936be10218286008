"""Only what the spec names trains."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

import pefc

from ..models import BUILDERS, gpt2, llama, output, perturb, words

SPEC = "lora(r=2) on attn.{q,v}; vera(r=2) on ffn; dora(r=2) on attn.o; tune on ffn.down"


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_only_what_the_spec_names_trains(build: Callable[[], nn.Module]) -> None:
    model = build()
    base = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    program = pefc.compile(SPEC, model)
    program.apply()
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    tuned = {tuned.name for tuned in program.plan.tuned}
    assert tuned
    assert trained & base.keys() == tuned
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == program.plan.trainable
    perturb(model, scale=0.05)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    output(model).square().mean().backward()
    for name, parameter in model.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, name
    torch.optim.SGD(model.parameters(), lr=1.0, weight_decay=0.1).step()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]) == (name not in trained), name
        if name in base and name not in tuned:
            assert torch.equal(tensor, base[name]), name


@pytest.mark.parametrize("build", [llama, gpt2], ids=lambda build: build.__name__)
def test_gradient_checkpointing_gives_the_same_gradients(build: Callable[[], nn.Module]) -> None:
    gradients = []
    for checkpointing in (False, True):
        model = build().train()
        torch.manual_seed(0)
        pefc.apply("lora(r=2) on linear; dora(r=2) on attn.o", model)
        perturb(model)
        if checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})
        torch.manual_seed(0)
        model(words(), labels=words(), use_cache=False).loss.backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.requires_grad})
    plain, checkpointed = gradients
    assert plain.keys() == checkpointed.keys()
    for name, gradient in plain.items():
        assert gradient.abs().max() > 0, name
        assert torch.equal(gradient, checkpointed[name]), name


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_autocast_runs_and_agrees(build: Callable[[], nn.Module]) -> None:
    spec = "lora(r=2) on attn.{q,v}; dora(r=2) on attn.o; ia3 on attn.{k,v}; vera(r=2) on ffn"
    model = pefc.apply(spec, build())
    perturb(model)
    expected = output(model)
    with torch.autocast("cpu", torch.bfloat16):
        found = output(model)
        found.float().square().mean().backward()
    assert (found - expected).abs().max() <= 0.1 * expected.abs().max()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)


EXACT = ("lora(r=2) on linear", "ia3 on attn.{k,v}; ssf on attn.q", "vera(r=2) on ffn")


@pytest.mark.parametrize("spec", EXACT)
@pytest.mark.parametrize("gradients", [False, True])
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_what_is_exact_is_exact_under_autocast(
    build: Callable[[], nn.Module], spec: str, *, gradients: bool
) -> None:
    model = build()
    with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(gradients):
        before = output(model)
        program = pefc.compile(spec, model)
        program.apply()
        assert {planned.verdict.identity for planned in program.plan.attachments} == {"exact"}
        assert torch.equal(output(model), before)


def test_dropout_follows_the_mode_of_the_model() -> None:
    model = pefc.apply("lora(r=2, dropout=0.5) on linear", llama())
    perturb(model)
    assert torch.equal(output(model), output(model))
    model.train()
    assert not torch.equal(output(model), output(model))
    assert all(module.training for module in model.modules())
    model.eval()
    assert torch.equal(output(model), output(model))
    assert not any(module.training for module in model.modules())


def test_an_applied_model_in_training_mode_has_children_in_training_mode() -> None:
    model = pefc.apply("lora(r=2) on attn.q; vera(r=2) on ffn", llama().train())
    assert all(module.training for module in model.modules())


class Rows(Dataset[dict[str, torch.Tensor]]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = words(rows=8)[index]
        return {"input_ids": row, "labels": row}


def trainer(folder: Path, *, steps: int) -> Trainer:
    torch.manual_seed(0)
    model = pefc.apply("lora(r=2) on attn.{q,v}; vera(r=2) on ffn", llama())
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=2,
        save_steps=2,
        logging_strategy="no",
        report_to=[],
        use_cpu=True,
        dataloader_pin_memory=False,
        lr_scheduler_type="constant",
        learning_rate=0.01,
        disable_tqdm=True,
    )
    return Trainer(model=model, args=arguments, train_dataset=Rows())


def test_trainer_runs_saves_and_resumes(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole", steps=4)
    start = deepcopy(whole.model.state_dict())
    whole.train()
    trained = whole.model.state_dict()
    for name, tensor in trained.items():
        is_new = ".lora." in name or name.endswith(("vera.d", "vera.e"))
        assert torch.equal(tensor, start[name]) == (not is_new), name
    resumed = trainer(tmp_path / "whole", steps=4)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-2"))
    for name, tensor in resumed.model.state_dict().items():
        torch.testing.assert_close(tensor, trained[name], rtol=1e-5, atol=1e-6)
