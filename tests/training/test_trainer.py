"""The Trainers of transformers take a model with a spec as it is."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    LlamaForCausalLM,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    Trainer,
    TrainerCallback,
)

import pefc

from ..golden.training_mistakes import TIGHT
from ..models import Plain, llama, output, perturb, plain, words
from ..tasks.models import t5
from .trained import Gradients, Texts, arguments, logged, losses, trainer, values

RESUMED = """\
lora(r=2, dropout=0.2) on attn.{q,v}
adapter(r=3) on ffn
prefix(len=3, mlp=4) all layers
prompt(len=2)
vera(r=3) on attn.o
adapterdrop(0..2) { adapter(r=2) on attn }
tune on norm
"""
SAVING = {"save_strategy": "steps", "save_steps": 3}
STATE = "model.safetensors"


def adapted(spec: str = RESUMED, *, seed: int = 5) -> LlamaForCausalLM:
    """A small Llama with a spec, whose initial values come from a seed."""
    base = llama()
    torch.manual_seed(seed)
    return pefc.apply(spec, base)


def interrupted(folder: Path, spec: str, **given: object) -> tuple[Trainer, Trainer]:
    """A training that runs through, and one that goes on from its middle in another model."""
    whole = trainer(adapted(spec), folder / "whole", **SAVING, **given)
    whole.train()
    again = trainer(adapted(spec, seed=6), folder / "again", **SAVING, **given)
    with logged() as warnings:
        again.train(resume_from_checkpoint=str(folder / "whole" / "checkpoint-3"))
    assert warnings == []
    return whole, again


def assert_same(one: Trainer, other: Trainer) -> None:
    assert losses(one) == losses(other)
    assert len(losses(one)) == 6
    state = other.model.state_dict()  # pyright: ignore[reportOptionalMemberAccess]
    for name, value in one.model.state_dict().items():  # pyright: ignore[reportOptionalMemberAccess]
        assert torch.equal(value, state[name]), name


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
    assert numbers == trained + frozen + 1
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
        fresh.load_state_dict({name: value + 1 for name, value in less.items()})
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


class Notes(TrainerCallback):
    """Copies what trains at each checkpoint."""

    def __init__(self) -> None:
        self.at: dict[int, dict[str, torch.Tensor]] = {}

    def on_save(
        self, _: object, state: object, *__: object, model: nn.Module | None = None, **___: object
    ) -> None:
        """After a checkpoint."""
        assert model is not None
        self.at[state.global_step] = values(model)  # pyright: ignore[reportAttributeAccessIssue]


def test_the_best_checkpoint_comes_back(tmp_path: Path) -> None:
    model, notes = adapted(), Notes()
    made = trainer(
        model,
        tmp_path,
        callbacks=[notes],
        eval_dataset=Texts(8),
        eval_strategy="steps",
        eval_steps=2,
        save_strategy="steps",
        save_steps=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=True,
    )
    with logged() as warnings:
        made.train()
    assert warnings == []
    found = losses(made, "eval_loss")
    assert len(found) == 3
    best = 2 * (found.index(max(found)) + 1)
    assert best < 6
    assert made.state.best_model_checkpoint == str(tmp_path / f"checkpoint-{best}")
    for name, value in values(model).items():
        assert torch.equal(value, notes.at[best][name]), name
        assert not torch.equal(value, notes.at[6][name])
    assert made.evaluate()["eval_loss"] == pytest.approx(max(found), rel=1e-6)


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.filterwarnings("ignore:`gradient_checkpointing:FutureWarning")
def test_gradient_checkpointing_changes_no_gradient(tmp_path: Path, *, reentrant: bool) -> None:
    spec = RESUMED.replace("dropout=0.2", "dropout=0")
    seen = [Gradients(), Gradients()]
    trainer(adapted(spec), tmp_path, max_steps=1, callbacks=seen[:1]).train()
    given = {"gradient_checkpointing_kwargs": {"use_reentrant": reentrant}}
    trainer(
        adapted(spec),
        tmp_path,
        max_steps=1,
        callbacks=seen[1:],
        gradient_checkpointing=True,
        **given,
    ).train()
    assert seen[0].steps[0].keys() == seen[1].steps[0].keys()
    torch.testing.assert_close(seen[1].steps, seen[0].steps, rtol=1e-5, atol=1e-6)


ROOTS = {
    "loss": TIGHT,
    "drop": "adapterdrop(0..1) { adapter(r=2) on ffn }",
    "tasks": "task one { lora(r=2) on attn.q }",
    "prompt": "prompt(len=2)",
}


@pytest.mark.parametrize("spec", ROOTS.values(), ids=ROOTS)
def test_after_training_in_lower_precision_a_spec_comes_out(tmp_path: Path, spec: str) -> None:
    """Accelerate leaves the forward of the model wrapped."""
    model = adapted(spec)
    if pefc.task_names(model):
        pefc.set_task(model, "one")
    trainer(model, tmp_path, bf16=True).train()
    pefc.remove(model).eval()
    with torch.autocast("cpu", torch.bfloat16):
        expected = output(llama())
    assert torch.equal(output(model), expected.float())
    perturb(pefc.apply(TIGHT, model))
    loss = model(words(), labels=words()).loss
    terms = pefc.regularizer(model)
    torch.testing.assert_close(model.train()(words(), labels=words()).loss, loss + terms)


def test_a_forward_that_would_pass_a_spec_by_is_refused(tmp_path: Path) -> None:
    model = llama()
    trainer(model, tmp_path, bf16=True, max_steps=1).train()
    before = set(model.state_dict())
    with pytest.raises(pefc.SpecError, match="`forward` of `LlamaForCausalLM` was replaced"):
        pefc.apply(TIGHT, model)
    assert set(model.state_dict()) == before
    assert type(model) is LlamaForCausalLM
    trainer(pefc.apply("lora(r=2) on attn.q", model), tmp_path, bf16=True, max_steps=1).train()


def test_one_task_trains_and_the_others_stay(tmp_path: Path) -> None:
    spec = "task one { lora(r=2) on attn.q }\ntask two { lora(r=2) on attn.q }"
    model = adapted(spec)
    before = values(model)
    pefc.set_task(model, "two")
    made = trainer(model, tmp_path, **SAVING)
    made.train()
    assert losses(made)[-1] != losses(made)[0]
    for name, value in values(model).items():
        assert torch.equal(value, before[name]) == (".one." in name)
    fresh = pefc.set_task(pefc.load(llama(), tmp_path / "checkpoint-6"), "two")
    assert torch.equal(output(fresh.eval()), output(model.eval()))


def test_a_model_that_came_quantized_is_trained(tmp_path: Path) -> None:
    base = llama()
    base.is_quantized = True  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(ValueError, match="purely quantized"):
        trainer(base, tmp_path)
    model = pefc.apply("lora(r=2) on attn.q", base)
    made = trainer(model, tmp_path, **SAVING)
    made.train()
    assert not model._hf_peft_config_loaded
    model.save_pretrained(tmp_path / "whole")
    assert set(load_file(tmp_path / "whole" / STATE)) == set(model.state_dict())
    pefc.remove(model)
    with pytest.raises(ValueError, match="purely quantized"):
        trainer(model, tmp_path)


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


class Pictures(torch.utils.data.Dataset[dict[str, torch.Tensor | int]]):
    """Noise, in three classes."""

    def __len__(self) -> int:
        return 24

    def __getitem__(self, row: int) -> dict[str, torch.Tensor | int]:
        noise = torch.Generator().manual_seed(row)
        return {"pixel_values": torch.randn(3, 16, 16, generator=noise), "labels": row % 3}


def test_what_batch_norms_note_is_resumed(tmp_path: Path) -> None:
    config = ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16],
        depths=[1, 1],
        layer_type="basic",
        num_labels=3,  # pyright: ignore[reportCallIssue]
    )
    made: list[Trainer] = []
    for folder in ("whole", "again"):
        torch.manual_seed(1)
        model = pefc.apply("tune on :BatchNorm2d", ResNetForImageClassification(config))
        made.append(trainer(model, tmp_path / folder, **SAVING))
        made[-1].train_dataset = Pictures()
    made[0].train()
    made[1].train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert_same(*made)


def test_sequences_to_sequences(tmp_path: Path) -> None:
    def made(folder: str) -> Seq2SeqTrainer:
        base = t5()
        torch.manual_seed(5)
        model = pefc.apply("lora(r=2, dropout=0.1) on attn.{q,v}; prefix(len=2) all layers", base)
        given = arguments(
            tmp_path / folder,
            predict_with_generate=True,
            generation_max_length=6,
            generation_num_beams=2,
            eval_strategy="steps",
            eval_steps=3,
            per_device_eval_batch_size=4,
            **SAVING,
        )
        return Seq2SeqTrainer(
            model,
            Seq2SeqTrainingArguments(**given),  # pyright: ignore[reportArgumentType]
            train_dataset=Texts(),
            eval_dataset=Texts(8),
            compute_metrics=lambda found: {"words": int(found.predictions.sum())},
        )

    whole, again = made("whole"), made("again")
    whole.train()
    model = whole.model
    assert model is not None
    found = [
        model.generate(rows, max_length=6, num_beams=2).sum() for rows in Texts(8).ids.split(4)
    ]
    assert losses(whole, "eval_words")[-1] == sum(found)
    with logged() as warnings:
        again.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-3"))
    assert warnings == []
    assert_same(whole, again)
    assert losses(whole, "eval_loss") == losses(again, "eval_loss")
