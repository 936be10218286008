"""QLoRA on real text: pefc beside HF PEFT on the same 4-bit base, trained by Trainer in turns."""

import argparse
import tempfile
import time
import weakref
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import peft
import torch
from linear import TARGETS
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging

import pefc

RANK, ALPHA = 8, 16
BATCH, LENGTH, RATE = 4, 128, 2e-3
TEXT = Path(__file__).parents[1] / "examples" / "data" / "movies.tsv"


def quantized() -> LlamaForCausalLM:
    """8 layers of width 512 that read bytes; their linear maps live in 4 bits."""
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
    )
    torch.manual_seed(0)
    return pefc.apply("quantize(nf4, double) on linear", LlamaForCausalLM(config))


def with_pefc(model: nn.Module) -> nn.Module:
    return pefc.apply(f"qlora(r={RANK}, alpha={ALPHA})", model)


def with_peft(model: nn.Module) -> nn.Module:
    config = peft.LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=TARGETS)
    return peft.get_peft_model(model, config)


SIDES = {"PEFT": with_peft, "pefc": with_pefc}


class Rows(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Film reviews as bytes, cut to rows."""

    def __init__(self) -> None:
        lines = TEXT.read_text(encoding="utf-8").splitlines()[1:]
        text = torch.tensor(list("\n".join(line.split("\t", 1)[1] for line in lines).encode()))
        self.ids = text[: len(text) // LENGTH * LENGTH].view(-1, LENGTH)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        return {"input_ids": self.ids[row], "labels": self.ids[row]}


class Clock(TrainerCallback):
    """The seconds of each step, forward, backward, clipping and update: those that pass, and those
    that the processor works on it, which other work on the machine stretches less.
    """

    def __init__(self) -> None:
        self.steps: list[Tensor] = []
        self._start = now()

    def on_step_begin(self, *_: object, **__: object) -> None:
        """Before a batch is computed."""
        self._start = now()

    def on_step_end(self, *_: object, **__: object) -> None:
        """After the update."""
        self.steps.append(now() - self._start)


def now() -> Tensor:
    return torch.tensor([time.perf_counter(), time.process_time()], dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class Side:
    """One adapted model, and what its training has given so far."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    seconds: list[Tensor] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def train(self, rows: torch.utils.data.Dataset[dict[str, Tensor]], steps: int) -> None:
        """A block of steps; the median of their seconds is noted."""
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder:
            trainer = Trainer(
                self.model,
                arguments(folder, steps),
                train_dataset=rows,
                optimizers=(self.optimizer, constant(self.optimizer)),
                callbacks=[clock],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
        self.losses.extend(entry["loss"] for entry in trainer.state.log_history if "loss" in entry)
        self.seconds.append(torch.stack(clock.steps).median(0).values)


def side(model: nn.Module) -> Side:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return Side(model, torch.optim.AdamW(trained, RATE))


def constant(optimizer: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
    """One rate for all blocks."""
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)


def arguments(folder: str, steps: int) -> TrainingArguments:
    return TrainingArguments(
        folder,
        max_steps=steps,
        per_device_train_batch_size=BATCH,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        dataloader_pin_memory=False,
    )


class LiveBytes(TorchDispatchMode):
    """The most bytes of tensors that were made under it and lived at once."""

    def __init__(self) -> None:
        super().__init__()
        self.most = self._live = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple = (),
        kwargs: dict | None = None,
    ) -> object:
        given = {_storage(leaf) for leaf in tree_leaves((args, kwargs)) if _is_tensor(leaf)}
        found = func(*args, **kwargs or {})
        for leaf in filter(_is_tensor, tree_leaves(found)):
            if _storage(leaf) not in given | self._known:
                self._meet(leaf.untyped_storage())
        return found

    def _meet(self, storage: torch.UntypedStorage) -> None:
        self._known.add(storage._cdata)
        weakref.finalize(storage, self._part, storage._cdata, storage.nbytes())
        self._live += storage.nbytes()
        self.most = max(self.most, self._live)

    def _part(self, name: int, size: int) -> None:
        self._known.discard(name)
        self._live -= size


def _is_tensor(leaf: object) -> bool:
    return isinstance(leaf, Tensor)


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def most_bytes(model: nn.Module, rows: Rows) -> int:
    """What a forward and a backward need at most, beside the model."""
    ids = rows.ids[:BATCH]
    with LiveBytes() as live:
        model.train()(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    model.zero_grad()
    return live.most


def report(rounds: int, steps: int) -> Table:
    base, rows = quantized(), Rows()
    sides = {name: side(attach(deepcopy(base))) for name, attach in SIDES.items()}
    for turn in range(rounds + 1):
        first = turn * steps * BATCH
        block = torch.utils.data.Subset(rows, range(first, first + steps * BATCH))
        for each in list(sides.values())[:: 1 if turn % 2 else -1]:
            each.train(block, steps)
    table = Table("", *sides, "pefc / PEFT", title=f"QLoRA on {number(base)} parameters")
    theirs, ours = (torch.stack(each.seconds[1:]) for each in sides.values())
    shares = (ours / theirs).median(0).values.tolist()
    for place, name in enumerate(("step of Trainer", "of its processor time")):
        took = (f"{each[:, place].median() * 1e3:,.0f} ms" for each in (theirs, ours))
        table.add_row(name, *took, f"{shares[place]:.2f}")
    most = [most_bytes(each.model, rows) for each in sides.values()]
    share = f"{most[1] / most[0]:.2f}"
    table.add_row("most bytes of a step", *(f"{b * 2**-20:,.1f} MiB" for b in most), share)
    for name, place in (("first loss", 0), ("last loss", -1)):
        table.add_row(name, *(f"{each.losses[place]:.3f}" for each in sides.values()), "")
    return table


def number(model: nn.Module) -> str:
    """The parameters that a model stands for: a byte holds two weights of 4 bits."""
    packed = [p.numel() for p in model.parameters() if not p.is_floating_point()]
    plain = [p.numel() for p in model.parameters() if p.is_floating_point()]
    return f"{2 * sum(packed) + sum(plain):,}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10, help="turns that each side takes")
    parser.add_argument("--steps", type=int, default=5, help="steps of a turn")
    given = parser.parse_args()
    logging.set_verbosity_error()
    Console(width=120).print(report(given.rounds, given.steps))


if __name__ == "__main__":
    main()
