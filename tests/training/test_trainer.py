"""The Trainers of transformers take a model with a spec as it is."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from transformers import (
    BertModel,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)

import pefc

from ..golden.training_mistakes import TIGHT
from ..models import bert, llama, output, perturb, words
from ..tasks.models import t5
from .trained import (
    RESUMED,
    SAVING,
    STATE,
    Gradients,
    Texts,
    adapted,
    arguments,
    assert_same,
    logged,
    losses,
    trainer,
    values,
)


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


def test_a_forward_that_is_left_wrapped_passes_no_terms_by(tmp_path: Path) -> None:
    model = llama()
    trainer(model, tmp_path, bf16=True, max_steps=1).train()
    loss = model(words(), labels=words()).loss
    pefc.apply(TIGHT, model)
    found = model(words(), labels=words()).loss
    torch.testing.assert_close(found, loss + pefc.regularizer(model), atol=1e-6, rtol=0)
    trainer(model, tmp_path, bf16=True, max_steps=1).train()


def test_a_forward_that_would_pass_a_spec_by_is_refused() -> None:
    model = bert()
    model.forward = model.forward
    before = set(model.state_dict())
    with pytest.raises(pefc.SpecError, match="`forward` of `BertModel` was replaced"):
        pefc.apply("prefix(len=2, shift=true) all layers", model)
    assert set(model.state_dict()) == before
    assert type(model) is BertModel


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
