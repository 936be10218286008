"""Checkpoints of a Trainer hold the adapter, and training goes on from them exactly."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel, Trainer, TrainerCallback

import pefc
from pefc.runtime.training.trainer import ORIGIN

from ..golden.training_mistakes import TIGHT
from ..models import Plain, llama, output, plain
from .trained import (
    RESUMED,
    SAVING,
    STATE,
    adapted,
    assert_same,
    logged,
    trainer,
    values,
)


def interrupted(folder: Path, spec: str, **given: object) -> tuple[Trainer, Trainer]:
    """A training that runs through, and one that goes on from its middle in another model."""
    whole = trainer(adapted(spec), folder / "whole", **SAVING, **given)
    whole.train()
    again = trainer(adapted(spec, seed=6), folder / "again", **SAVING, **given)
    with logged() as warnings:
        again.train(resume_from_checkpoint=str(folder / "whole" / "checkpoint-3"))
    assert warnings == []
    return whole, again


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2},
        {"bf16": True},
        {"gradient_checkpointing": True},
    ],
    ids=["plain", "accumulated", "bf16", "checkpointed"],
)
@pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated:FutureWarning")
def test_resuming_is_exact(tmp_path: Path, given: dict[str, object]) -> None:
    assert_same(*interrupted(tmp_path, RESUMED, **given))


def test_resuming_is_exact_with_terms_and_tasks(tmp_path: Path) -> None:
    task = "\ntask one { lora(r=2, dropout=0.1) on attn.v }"
    whole, again = interrupted(tmp_path, TIGHT + task)
    assert_same(whole, again)


def test_a_checkpoint_holds_the_adapter_alone(tmp_path: Path) -> None:
    model = adapted()
    model.save_pretrained(tmp_path / "base")
    trainer(model, tmp_path / "out", **SAVING).train()
    folder = tmp_path / "out" / "checkpoint-6"
    found = {path.name for path in folder.iterdir()}
    assert {STATE, "adapter.safetensors", "plan.json", "spec.peft", "optimizer.pt"} <= found
    base = (tmp_path / "base" / STATE).stat().st_size
    kept = load_file(folder / STATE)
    numbers = sum(value.numel() for value in kept.values())
    trained = sum(value.numel() for value in values(model).values())
    frozen = sum(b.numel() for n, b in model.named_buffers() if n.startswith("vera."))
    assert numbers == trained + frozen + 1 + kept["pefc.origin"].numel()
    assert (folder / STATE).stat().st_size < 4 * numbers + 200 * len(kept)
    assert (folder / STATE).stat().st_size < base / 2
    assert (folder / "adapter.safetensors").stat().st_size <= (folder / STATE).stat().st_size
    assert not any("lm_head" in name or "embed_tokens" in name for name in kept)


def test_a_checkpoint_loads_as_an_adapter(tmp_path: Path) -> None:
    model = adapted()
    made = trainer(model, tmp_path, **SAVING)
    made.train()
    made.save_model(str(tmp_path / "final"))
    for folder in ("checkpoint-6", "final"):
        fresh = pefc.load(llama(), tmp_path / folder)
        assert torch.equal(output(fresh.eval()), output(model.eval()))
    pefc.save(pefc.load(llama(), tmp_path / "final"), tmp_path / "folded")
    folded = pefc.load(llama(), tmp_path / "folded")
    torch.testing.assert_close(output(folded.eval()), output(model), rtol=1e-5, atol=1e-5)


def test_the_state_of_a_checkpoint_loads_by_hand(tmp_path: Path) -> None:
    model = adapted()
    trainer(model, tmp_path, **SAVING).train()
    state = load_file(tmp_path / "checkpoint-6" / STATE)
    fresh = adapted(seed=6)
    fresh.load_state_dict(state)
    assert torch.equal(output(fresh.eval()), output(model.eval()))
    missing = next(name for name in state if name.endswith("lora.A"))
    less = {name: value for name, value in state.items() if name != missing}
    assert fresh.load_state_dict(less, strict=False).missing_keys == [missing]
    before = output(fresh)
    with pytest.raises(RuntimeError, match=missing):
        fresh.load_state_dict({name: value + (name != ORIGIN) for name, value in less.items()})
    with pytest.raises(pefc.SpecError, match="damaged-adapter"):
        fresh.load_state_dict({name: value + 1 for name, value in state.items()})
    assert torch.equal(output(fresh), before)


class SavesToo(TrainerCallback):
    """A user's own code, which asks for the whole model in the middle of a training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_save(self, *_: object, model: PreTrainedModel | None = None, **__: object) -> None:
        """After a checkpoint."""
        assert model is not None
        model.save_pretrained(self.folder)


def test_who_asks_for_the_whole_model_gets_it(tmp_path: Path) -> None:
    model = adapted("lora(r=2) on attn.q")
    callbacks = [SavesToo(tmp_path / "whole")]
    trainer(model, tmp_path / "out", callbacks=callbacks, **SAVING).train()
    model.save_pretrained(tmp_path / "after", state_dict=model.state_dict(), is_main_process=True)
    for folder in ("whole", "after"):
        assert set(load_file(tmp_path / folder / STATE)) == set(model.state_dict())


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    spec = "tune on norm; lora(r=2) on attn.q, head"
    model = pefc.apply(spec, llama(tied=True))
    trainer(model, tmp_path, **SAVING).train()
    fresh = pefc.apply(spec, llama(tied=True))
    again = trainer(fresh, tmp_path / "again", **SAVING)
    with logged() as warnings:
        again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert warnings == []
    assert torch.equal(output(fresh.eval()), output(model.eval()))
    assert fresh.lm_head.weight is fresh.model.embed_tokens.weight


class Scored(Plain):
    """A model that is not of transformers."""

    def forward(self, input_ids: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        found = super().forward(input_ids)
        return {"loss": (found.mean(-1) - labels / 64).square().mean(), "logits": found}


def test_a_model_of_ones_own_is_saved_whole(tmp_path: Path) -> None:
    model = Scored()
    model.load_state_dict(plain().state_dict())
    pefc.apply("lora(r=2) on linear", model)
    trainer(model, tmp_path, **SAVING).train()
    assert set(load_file(tmp_path / "checkpoint-6" / STATE)) == set(model.state_dict())
