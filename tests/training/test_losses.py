"""`loss +=`: the terms are in the loss that a model returns while it trains, once."""

import warnings
from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounter
from transformers import LlamaForCausalLM, Trainer, TrainingArguments
from transformers.modeling_outputs import CausalLMOutput

import pefc

from ..golden.training_mistakes import TIGHT
from ..models import Plain, llama, perturb, plain, words
from .trained import Gradients, Texts, arguments, losses, trainer

FUSED = """\
task one { adapter(r=2) on ffn }
task two { adapter(r=3) on ffn }
fuse(one, two) on ffn
"""
CLOSE = {"atol": 1e-6, "rtol": 0}


def tight(spec: str = TIGHT) -> LlamaForCausalLM:
    model = pefc.apply(spec, llama())
    perturb(model)
    return model


def entropy(model: nn.Module, **given: object) -> tuple[Tensor, Tensor]:
    """The loss that a model returns while it trains, and what there is without terms."""
    model.train()
    found = model(words(), labels=words(), **given).loss
    logits = model(words()).logits[:, :-1].flatten(0, 1)
    return found, nn.functional.cross_entropy(logits, words()[:, 1:].flatten())


@pytest.mark.parametrize("spec", [TIGHT, FUSED], ids=["own", "fusion"])
def test_a_loss_of_training_has_the_terms_and_one_of_evaluation_not(spec: str) -> None:
    model = tight(spec)
    found, without = entropy(model)
    terms = pefc.regularizer(model)
    assert terms > 0.01
    torch.testing.assert_close(found, without + terms, **CLOSE)
    torch.testing.assert_close(model.eval()(words(), labels=words()).loss, without, **CLOSE)


def test_terms_of_a_task_count_where_it_runs() -> None:
    body, statement = TIGHT.rsplit("tight on", 1)
    spec = f"{body}task one {{ tight on{statement} }}\ntask two {{ tight(r=3) on{statement} }}"
    model = tight(spec)
    pefc.set_task(model, "one")
    one = pefc.regularizer(model)
    pefc.set_task(model, "two")
    two = pefc.regularizer(model)
    assert (one - two).abs() > 0.01
    found, without = entropy(model)
    torch.testing.assert_close(found - without, two, **CLOSE)
    found.backward()
    grads = {name for name, p in model.named_parameters() if p.grad is not None}
    assert grads
    assert all(".two." in name for name in grads)
    with pefc.tasks(model, ["one", "two"]):
        torch.testing.assert_close(pefc.regularizer(model), one + two, **CLOSE)
    pefc.set_task(model, None)
    assert pefc.regularizer(model) == 0


class Pair(NamedTuple):
    """What a model may return, with names."""

    loss: Tensor
    logits: Tensor


SHAPES: dict[str, Callable[[Tensor, Tensor], object]] = {
    "dict": lambda loss, logits: {"loss": loss, "logits": logits},
    "tuple": lambda loss, logits: (loss, logits),
    "named": Pair,
}


class Scored(Plain):
    """Returns a loss beside what it computes."""

    shape = "tuple"

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> object:
        found = super().forward(input_ids)
        return found if labels is None else SHAPES[self.shape](found.square().mean(), found)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_form_of_result(shape: str) -> None:
    model = Scored()
    model.load_state_dict(plain().state_dict())
    model.shape = shape
    pefc.apply(TIGHT.replace("attn.q", "linear"), model).train()
    found = model(words(), words())
    logits = model(words())
    loss, other = (found["loss"], found["logits"]) if isinstance(found, dict) else found
    assert type(found) is type(SHAPES[shape](loss, other))
    expected = logits.square().mean() + pefc.regularizer(model)
    torch.testing.assert_close(loss, expected)
    assert torch.equal(other, logits)


def test_tuples_of_transformers() -> None:
    model = tight().train()
    loss, logits = model(words(), labels=words(), return_dict=False, use_cache=False)
    assert torch.equal(loss, model(words(), labels=words()).loss)
    assert logits.shape == (2, 7, 64)


def test_a_copy_adds_its_own_terms() -> None:
    model = tight()
    copy = deepcopy(model)
    before, _ = entropy(model)
    perturb(copy, seed=9)
    assert torch.equal(entropy(model)[0], before)
    found, without = entropy(copy)
    torch.testing.assert_close(found - without, pefc.regularizer(copy), **CLOSE)


def test_precision_and_places_of_the_model() -> None:
    assert pefc.regularizer(tight().double()).dtype == torch.double
    assert pefc.regularizer(tight().bfloat16()).dtype == torch.float
    assert pefc.regularizer(tight().to("meta")).is_meta


def test_a_step_that_trains_compiles_as_one_graph() -> None:
    torch._dynamo.reset()
    model = tight().train()
    expected = model(words(), labels=words()).loss
    counter = CompileCounter()
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    torch.testing.assert_close(compiled(words(), labels=words(), use_cache=False).loss, expected)
    assert counter.frame_count == 1


def first_gradients(folder: Path, spec: str, *, takes_items: bool, **given: object) -> object:
    model = tight(spec)
    model.accepts_loss_kwargs = takes_items  # pyright: ignore[reportAttributeAccessIssue]
    seen = Gradients()
    made = trainer(model, folder, callbacks=[seen], max_steps=1, max_grad_norm=0, **given)
    if not takes_items:
        made.train_dataset = Texts(masked=False)
    made.train()
    return losses(made), seen.steps[0]


@pytest.mark.parametrize("takes_items", [True, False])
@pytest.mark.parametrize("spec", [TIGHT, FUSED], ids=["own", "fusion"])
def test_small_batches_together_are_the_large_one(
    tmp_path: Path, spec: str, *, takes_items: bool
) -> None:
    """With the terms once; micro-batches have unlike numbers of labels where the loss is divided by
    all of them.
    """
    large = first_gradients(tmp_path, spec, takes_items=takes_items, per_device_train_batch_size=8)
    small = first_gradients(
        tmp_path,
        spec,
        takes_items=takes_items,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
    )
    torch.testing.assert_close(small, large, **CLOSE)


def smoothed(model: nn.Module, ids: Tensor, labels: Tensor) -> Tensor:
    """The loss of a Trainer with smoothed labels, with the terms."""
    logits = model(ids).logits[:, :-1].flatten(0, 1)
    wanted = labels[:, 1:].flatten()
    own = nn.functional.cross_entropy(logits, wanted, label_smoothing=0.1)
    return own + pefc.regularizer(model)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_loss_that_a_trainer_computes_gets_them(tmp_path: Path, steps: int) -> None:
    model, seen = tight(), Gradients()
    copy = deepcopy(model).train()
    made = trainer(
        model,
        tmp_path,
        callbacks=[seen],
        label_smoothing_factor=0.1,
        per_device_train_batch_size=4 // steps,
        gradient_accumulation_steps=steps,
        max_steps=2,
        max_grad_norm=0,
    )
    rows: list[dict[str, Tensor]] = []
    made.train_dataset = Texts(masked=False)
    made.data_collator = lambda each: (
        rows.append(torch.utils.data.default_collate(each)) or rows[-1]
    )
    made.train()
    ids, labels = (torch.cat([row[n] for row in rows[:steps]]) for n in ("input_ids", "labels"))
    smoothed(copy, ids, labels).backward()
    expected = {name: p.grad for name, p in copy.named_parameters() if p.grad is not None}
    torch.testing.assert_close(seen.steps[0], expected, **CLOSE)


class Fused(Trainer):
    """Makes no logits: a forward of its own, and a loss of what that returns."""

    def compute_loss(self, model: nn.Module, inputs: dict[str, Tensor], **_: object) -> Tensor:
        """Beside the loss that the model returns."""
        found = model(**inputs, fused=True)
        return found.logits.logsumexp(-1).mean() + 0 * found.loss.detach()


@pytest.mark.parametrize("spec", [TIGHT, "adapterdrop(0..1) { adapter(r=2) on ffn }"])
def test_a_forward_of_the_trainer_passes_nothing_by(tmp_path: Path, spec: str) -> None:
    model, seen = tight(spec), Gradients()
    original, copy = model.forward, deepcopy(model).train()

    def forward(input_ids: Tensor, labels: Tensor, *, fused: bool = False) -> object:
        assert fused
        assert labels.shape == input_ids.shape
        logits = model.lm_head(model.model(input_ids).last_hidden_state)
        return CausalLMOutput(loss=logits.square().mean(), logits=logits)

    model.forward = wraps(original)(forward)
    given = TrainingArguments(**arguments(tmp_path, max_steps=1, max_grad_norm=0))  # pyright: ignore[reportArgumentType]
    Fused(model, given, train_dataset=Texts(), callbacks=[seen], data_collator=first).train()
    (copy(Texts().ids[:4]).logits.logsumexp(-1).mean() + pefc.regularizer(copy)).backward()
    expected = {name: p.grad for name, p in copy.named_parameters() if p.grad is not None}
    assert expected
    assert all(drop.drawn == 1 for drop in getattr(model, "pefc_drops", ()))
    torch.testing.assert_close(seen.steps[0], expected, **CLOSE)


def first(_: object) -> dict[str, Tensor]:
    """The first rows, whichever were drawn."""
    return {"input_ids": Texts().ids[:4], "labels": Texts().labels[:4]}


def test_a_loss_of_ones_own_takes_them(tmp_path: Path) -> None:
    """As the documentation has it, with accumulation."""

    def loss(outputs: object, labels: Tensor, num_items_in_batch: Tensor) -> Tensor:
        logits = outputs.logits[:, :-1].flatten(0, 1)  # pyright: ignore[reportAttributeAccessIssue]
        wanted = labels[:, 1:].flatten()
        total = nn.functional.cross_entropy(logits, wanted, reduction="sum")
        share = wanted.ne(-100).sum() / num_items_in_batch
        return total / num_items_in_batch + share * pefc.regularizer(models[-1])

    models: list[nn.Module] = []
    seen: list[Gradients] = []
    for given in ({"compute_loss_func": loss}, {}):
        models.append(tight())
        seen.append(Gradients())
        trainer(
            models[-1],
            tmp_path,
            callbacks=[seen[-1]],
            gradient_accumulation_steps=2,
            max_steps=3,
            **given,
        ).train()
    torch.testing.assert_close(seen[0].steps, seen[1].steps, **CLOSE)


def test_a_bare_loop_is_told_once() -> None:
    model = tight().train()

    def step() -> None:
        model(words()).logits.square().mean().backward()

    step()
    with pytest.warns(pefc.SpecWarning, match="missing-terms"):
        step()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        step()
    assert told == []


def test_a_bare_loop_that_adds_them_is_told_nothing() -> None:
    model = tight().train()
    for _ in range(3):
        first, second = model(words()).logits, model(words(length=5)).logits
        (first.mean() + second.mean() + pefc.regularizer(model)).backward()
    for _ in range(2):
        model(words()).logits.mean().backward()
        pefc.regularizer(model).backward()
    for _ in range(2):
        model(words(), labels=words()).loss.backward()
    with torch.no_grad():
        model(words())
    model.generate(words(), max_new_tokens=2, pad_token_id=1)
