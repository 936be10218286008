"""What is done with a language model beside training one adapter: tasks in one batch, 4 bits,
merged folders, the memory of a step.
"""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

import pefc
from pefc.compiler.measure.memory.estimate import estimate
from pefc.compiler.measure.memory.setup import setup
from pefc.compiler.merge.folder.merge_folder import merge_folder
from pefc.compiler.merge.options import Wish
from pefc.runtime.quantized.form import is_packed

from ..memory.measuring import measured
from .smollm import Batch, answer, logits, questions
from .test_methods import train

TASKS = """\
task short { lora(r=4) on attn.{q,v} }
task long  { adapter(r=8) on ffn }
task kind  { prefix(len=4) all layers }
task rude  { prompt(len=4) }
"""
QUESTIONS = (
    "Which city is the capital of France?",
    "Say hello.",
    "How many days are in a week, and what are they called?",
    "What is the opposite of cold?",
    "Name a colour.",
)
CLOSE = 0.02
"""What is kept beside tensors that were counted."""


def moved(model: torch.nn.Module, scale: float) -> None:
    """Let what trains be somewhere else."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=scale)


def test_questions_of_several_tasks_are_answered_in_one_batch(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    pefc.apply(TASKS, model)
    moved(model, 0.02)
    names = [*pefc.task_names(model), None]
    asked = questions(tokenizer, *QUESTIONS)
    with pefc.tasks(model, names):
        together = answer(model, asked)
    alone = []
    for name, question in zip(names, QUESTIONS, strict=True):
        pefc.set_task(model, name)
        alone.append(answer(model, questions(tokenizer, question)))
    width = together.shape[1]
    padded = [torch.nn.functional.pad(row, (0, width - row.shape[1]), value=2) for row in alone]
    assert torch.equal(together, torch.cat(padded))
    assert len(torch.cat(padded).unique(dim=0)) > 1


def test_qlora(read_once: PreTrainedModel, text: Batch, asked: Batch, tmp_path: Path) -> None:
    model = deepcopy(read_once)
    pefc.apply("quantize(nf4, double) on linear", model)
    packed = [path for path, module in model.named_modules() if is_packed(module)]
    assert len(packed) == 7 * 30
    base = logits(model, text)
    pefc.apply("lora(r=8, alpha=16) on linear", model)
    assert torch.equal(logits(model, text), base)
    losses, still = train(model, text, 1e-3)
    assert losses[-1] < losses[0]
    assert still == []
    assert torch.equal(answer(model, asked), answer(model, asked, use_cache=False))

    trained = logits(model, text)
    pefc.save(model, tmp_path)
    pefc.remove(model)
    assert torch.equal(logits(model, text), base)
    pefc.load(model, tmp_path)
    assert torch.equal(logits(model, text), trained)
    with pytest.raises(pefc.SpecError, match="quantized-merge"):
        pefc.merge(model)
    pefc.merge(model, into="fp32")
    assert not any(is_packed(module) for module in model.modules())
    apart = logits(model, text) - trained
    assert apart.norm() < 0.02 * trained.norm()


def test_a_folder_is_merged_as_a_model_is(
    model: PreTrainedModel, smollm: Path, text: Batch, tmp_path: Path
) -> None:
    pefc.apply("lora(r=4) on attn.{q,v}, ffn.down; tune on norm", model)
    moved(model, 0.01)
    pefc.save(model, tmp_path / "adapter")
    merge_folder(smollm, tmp_path / "adapter", tmp_path / "merged", Wish())
    merged = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    torch.testing.assert_close(logits(merged, text), logits(model, text), atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    ("spec", "text_of_setup"),
    [
        ("lora(r=8) on linear", "batch=2,len=32"),
        ("qlora(r=8)", "batch=2,len=32"),
        ("prefix(len=8) all layers", "batch=2,len=32,padding"),
    ],
    ids=["lora", "qlora", "prefix"],
)
def test_a_step_takes_what_the_plan_says(
    spec: str, text_of_setup: str, read_once: PreTrainedModel
) -> None:
    wanted = setup(text_of_setup)
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(read_once.config)
    told = estimate(pefc.plan(spec, empty), empty, wanted)
    whole, kept = measured(spec, deepcopy(read_once), wanted)
    assert told.sum == pytest.approx(whole, rel=CLOSE)
    assert told.optimizer == pytest.approx(kept, rel=CLOSE)
