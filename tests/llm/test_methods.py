"""Every method on a real language model: it trains on real text, answers, is saved, loads, and
merges or says why it does not.
"""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

import pefc

from .smollm import Batch, answer, lent, logits

STEPS = 3
METHODS = {
    "houlsby": ("houlsby(r=16)", 1e-4),
    "pfeiffer": ("pfeiffer(r=16) on ffn", 1e-3),
    "adapterdrop": ("adapterdrop(0..5, eval=0) { adapter(r=16) on ffn }", 1e-3),
    "prefix": ("prefix(len=8) all layers", 1e-3),
    "prefix_mlp": ("prefix(len=8, mlp=64) all layers", 1e-4),
    "prefix_zero": ("prefix(len=8, init=zero) all layers", 1e-2),
    "prompt": ("prompt(len=8, init=vocab)", 1e-3),
    "p_tuning": ("p_tuning(len=8, h=64)", 1e-3),
    "p_tuning_lstm": ("p_tuning(len=8, encoder=lstm, h=64)", 1e-4),
    "p_tuning_v2": ("task words { p_tuning_v2(len=8) }", 1e-4),
    "bitfit": ("bitfit on linear", 1e-2),
    "lora": ("lora(r=8, alpha=16) on linear", 1e-3),
    "adalora": (f"adalora(r=6, target=4, steps={STEPS}) on linear", 1e-3),
    "mam": ("mam(len=8, mlp=64)", 1e-4),
    "unipelt": ("unipelt(len=8)", 1e-4),
    "dora": ("dora(r=4) on attn.{q,v}", 1e-3),
    "head": ("lora(r=8) on head", 1e-3),
}
"""By a name: a spec, and the rate at which it trains."""
MERGES = {"lora": 1e-3, "adalora": 1e-3, "dora": 1e-3, "bitfit": 0.0}
"""How far logits of about 20 may be off when the changes are in the weights."""
ROUNDING = {"adalora": 1e-3}
"""The same of an adapter that was saved without the ranks that it has lost, and loaded."""
EXACT = ("houlsby", "pfeiffer", "adapterdrop", "prefix_zero", "lora", "adalora", "bitfit", "head")
"""The model starts as itself, to the last bit."""
DROPPED = tuple(f"model.layers.{layer}." for layer in range(6))


@pytest.fixture
def model(first_layers: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """Each layer of a model takes a method as the next one does: `test_model` has all of them."""
    yield from lent(first_layers)


@pytest.fixture
def subject(name: str, model: PreTrainedModel) -> PreTrainedModel:
    """The model itself, or with biases, of which it has none, for a method that trains these."""
    if name != "bitfit":
        return model
    config = deepcopy(model.config)
    config.attention_bias = config.mlp_bias = True
    with torch.device("meta"):
        biased = type(model)(config)
    none = {n: torch.zeros(p.shape) for n, p in biased.named_parameters() if n.endswith("bias")}
    biased.load_state_dict(model.state_dict() | none, assign=True)
    biased.model.rotary_emb = deepcopy(model.model.rotary_emb)
    return deepcopy(biased).eval()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_lives(
    name: str, subject: PreTrainedModel, text: Batch, asked: Batch, tmp_path: Path
) -> None:
    spec, rate = METHODS[name]
    before = logits(subject, text)
    torch.manual_seed(0)
    pefc.apply(spec, subject)
    choose(subject)
    if name in EXACT:
        assert torch.equal(logits(subject, text), before)

    losses, still = train(subject, text, rate)
    assert losses[-1] < losses[0]
    assert all(is_left_out(name, each) for each in still)
    assert torch.equal(answer(subject, asked), answer(subject, asked, use_cache=False))

    trained = logits(subject, text)
    pefc.save(subject, tmp_path)
    pefc.remove(subject)
    pefc.load(subject, tmp_path)
    choose(subject)
    rounding = ROUNDING.get(name, 0.0)
    torch.testing.assert_close(logits(subject, text), trained, atol=rounding, rtol=0)
    if name in MERGES:
        merged = pefc.merge(deepcopy(subject))
        torch.testing.assert_close(logits(merged, text), trained, atol=MERGES[name], rtol=0)
    else:
        with pytest.raises(pefc.SpecError, match=r"(not-affine|tied-merge|task-merge)"):
            pefc.merge(subject)
        assert torch.equal(logits(subject, text), trained)


def is_left_out(name: str, tensor: str) -> bool:
    """A dropped layer may go without a step; a site that has lost its ranks has values of zero."""
    match name:
        case "adapterdrop":
            return tensor.startswith(DROPPED)
        case "adalora":
            return tensor.endswith(".E")
        case _:
            return False


def choose(model: nn.Module) -> None:
    """Let the one task run where the spec has one."""
    for task in pefc.task_names(model):
        pefc.set_task(model, task)


def train(model: nn.Module, batch: Batch, rate: float) -> tuple[list[float], list[str]]:
    """A few steps on one batch: the losses, and the names of the tensors that did not move."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    start = {name: p.detach().clone() for name, p in trained.items()}
    optimizer = pefc.optimizer(model, lr=rate)
    losses = []
    model.train()
    for _ in range(STEPS):
        loss: Tensor = model(**batch, use_cache=False).loss
        (loss + pefc.regularizer(model)).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    model.eval()
    return losses, [name for name, p in trained.items() if torch.equal(p, start[name])]


def test_a_model_without_biases_has_nothing_that_bitfit_trains(model: PreTrainedModel) -> None:
    with pytest.raises(pefc.SpecError, match="no-bias"):
        pefc.plan("bitfit on linear", model)


def test_a_fusion_trains(model: PreTrainedModel, text: Batch, tmp_path: Path) -> None:
    """Adapters of two tasks that say different things; the fusion learns whom to hear."""
    pefc.apply("task a { pfeiffer(r=8) on ffn }\ntask b { pfeiffer(r=8) on ffn }", model)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=1e-3)
    pefc.apply("fuse(a, b) on ffn", model)
    pefc.set_task(model, "fusion")
    losses, still = train(model, text, 1e-3)
    assert losses[-1] < losses[0]
    assert still == []
    trained = logits(model, text)
    pefc.save(model, tmp_path)
    pefc.remove(model)
    pefc.load(model, tmp_path)
    pefc.set_task(model, "fusion")
    assert torch.equal(logits(model, text), trained)
