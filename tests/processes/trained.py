"""Small trainings that are the same in one process and in several."""

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, distributed, nn
from transformers import Trainer, TrainingArguments

import pefc

from ..models import llama, perturb, words
from ..training.trained import Texts
from ..training.trained import arguments as usual

STEPS = 3
PLACED = """\
lora(r=2) on attn.{q,v}
adapter(r=3) on ffn
prefix(len=3, mlp=4) all layers
prompt(len=2)
vera(r=3) on attn.o
tune on norm
"""
ALLOCATED = "adalora(r=5, target=2, steps=4) on attn.{q,v}"
QUANTIZED = """\
quantize(nf4, double, compute=fp32) on attn
quantize(fp4, compute=fp32) on ffn.{gate,up}
quantize(int8) on ffn.down
lora(r=2) on attn.{q,v}, ffn
dora(r=2) on attn.o
"""
FROZEN = """\
pissa(r=2) on attn.q
osf on attn.k
ia3 on attn.v
dora(r=2) on attn.o
vera(r=3) on ffn.{gate,up}
task one { vera(r=2) on ffn.down }
"""
"""Methods with tensors that do not train, at each module and shared between them."""
MIXED = """\
lora(r=2) on attn.{q,v}
adapter(r=3) on ffn
tune on norm
"""
SPECS = {
    "placed": PLACED,
    "allocated": ALLOCATED,
    "quantized": QUANTIZED,
    "frozen": FROZEN,
    "mixed": MIXED,
}
WAYS = (
    ("placed", "wrapped"),
    ("placed", "spread"),
    ("placed", "checkpointed"),
    ("allocated", "wrapped"),
    ("allocated", "spread"),
    ("quantized", "wrapped"),
    ("quantized", "spread"),
    ("frozen", "spread"),
    ("placed", "accelerated"),
    ("placed", "accelerated in parts"),
)
"""What trains, and how processes share it: as `DistributedDataParallel`, by `fully_shard`, or as
Accelerate does either.
"""
FULL = ("placed", "allocated", "frozen")
"""What is saved from the full state of a model in parts."""
SIXTEEN = ("placed", "allocated", "quantized", "frozen")
"""What trains in parts that are computed with in 16 bits."""


def adapted(name: str) -> nn.Module:
    """A Llama with a spec, the same in each process, with nothing at zero."""
    base = llama()
    torch.manual_seed(5)
    model = pefc.apply(SPECS[name], base)
    perturb(model, scale=0.1)
    if pefc.task_names(model):
        pefc.set_task(model, "one")
    return model.train()


def batch() -> Tensor:
    """The rows of all processes."""
    return words(rows=4, length=8)


def batches() -> list[Tensor]:
    """What `pefc prune` measures on."""
    return [batch()]


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return pefc.optimizer(model, lr=0.02)


def train(model: nn.Module, ids: Tensor) -> list[float]:
    """The losses of some steps."""
    steps = optimizer(model)
    return [stepped(model, ids, steps, lambda loss: loss.backward()) for _ in range(STEPS)]


def stepped(
    model: nn.Module,
    ids: Tensor,
    steps: torch.optim.Optimizer,
    backward: Callable[[Tensor], object],
) -> float:
    """The loss before a step."""
    loss = model(ids, labels=ids).loss
    backward(loss)
    steps.step()
    steps.zero_grad()
    return loss.item()


def save(model: nn.Module, folder: Path) -> None:
    """Save, whether or not ranks are still to be allocated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pefc.save(model, folder)


def checkpoint(trainer: Trainer, folder: Path, state: dict[str, Tensor] | None) -> None:
    """Write a checkpoint as a Trainer does, with the state that its processes have, if any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer._save(str(folder), state_dict=state)  # pyright: ignore[reportArgumentType]


def taught(folder: Path, *, rows: int) -> list[float]:
    """The losses of a Trainer, which saves a checkpoint at its end."""
    given = {"per_device_train_batch_size": rows, "max_steps": STEPS, "save_steps": STEPS}
    backend = "gloo" if distributed.is_initialized() else None
    arguments = TrainingArguments(
        **usual(folder, save_strategy="steps", ddp_backend=backend, max_grad_norm=0, **given)  # pyright: ignore[reportArgumentType]
    )
    trainer = Trainer(adapted("placed"), arguments, train_dataset=Texts(masked=False))
    trainer.train()
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
