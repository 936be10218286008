"""Trainers over small models and texts, and what they wrote down."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from transformers import (
    LlamaForCausalLM,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

import pefc

from ..models import llama, words

ROWS = 24
OWN = ("optimizers", "optimizer_cls_and_kwargs", "callbacks", "compute_loss_func", "eval_dataset")
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


class Texts(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Texts of one length, of which each row loses other labels at its end."""

    def __init__(self, rows: int = ROWS, *, masked: bool = True) -> None:
        self.ids = words(rows=rows, length=8)
        self.labels = self.ids.clone()
        for row in range(rows if masked else 0):
            self.labels[row, 8 - row % 5 :] = -100

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {"input_ids": self.ids[row], "labels": self.labels[row]}


def arguments(folder: Path, **given: object) -> dict[str, object]:
    """Arguments of a short training that logs each step."""
    usual: dict[str, object] = {
        "output_dir": str(folder),
        "use_cpu": True,
        "report_to": "none",
        "disable_tqdm": True,
        "logging_steps": 1,
        "per_device_train_batch_size": 4,
        "learning_rate": 0.02,
        "max_steps": 6,
        "save_strategy": "no",
        "seed": 3,
        "dataloader_pin_memory": False,
    }
    return {**usual, **given}


def trainer(model: nn.Module, folder: Path, **given: object) -> Trainer:
    """A Trainer; what is not an argument of its training is one of its own."""
    own = {name: given.pop(name) for name in OWN if name in given}
    made = TrainingArguments(**arguments(folder, **given))  # pyright: ignore[reportArgumentType]
    return Trainer(model, made, train_dataset=Texts(), **own)  # pyright: ignore[reportArgumentType]


def losses(trained: Trainer, name: str = "loss") -> list[float]:
    """The losses that were logged, step by step."""
    return [entry[name] for entry in trained.state.log_history if name in entry]


def values(model: nn.Module) -> dict[str, Tensor]:
    """Copies of what trains."""
    return {
        name: parameter.detach().clone()
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }


class Gradients(TrainerCallback):
    """Notes the gradients of each step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Tensor]] = []

    def on_pre_optimizer_step(
        self, *_: object, model: PreTrainedModel | None = None, **__: object
    ) -> None:
        """Before a step is taken."""
        assert model is not None
        self.steps.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )


@contextmanager
def logged() -> Iterator[list[str]]:
    """The warnings that transformers logs meanwhile."""
    found: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(record.getMessage())

    listener = Listener(logging.WARNING)
    logger = logging.getLogger("transformers")
    logger.addHandler(listener)
    try:
        yield found
    finally:
        logger.removeHandler(listener)


def adapted(spec: str = RESUMED, *, seed: int = 5) -> LlamaForCausalLM:
    """A small Llama with a spec, whose initial values come from a seed."""
    base = llama()
    torch.manual_seed(seed)
    return pefc.apply(spec, base)


def assert_same(one: Trainer, other: Trainer) -> None:
    assert losses(one) == losses(other)
    assert len(losses(one)) == 6
    state = other.model.state_dict()  # pyright: ignore[reportOptionalMemberAccess]
    for name, value in one.model.state_dict().items():  # pyright: ignore[reportOptionalMemberAccess]
        assert torch.equal(value, state[name]), name
