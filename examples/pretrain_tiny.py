"""A Llama of 2.4 million parameters, pretrained on film reviews and adapted to tweets.

It reads bytes, so nothing is downloaded: weights and tokenizer come from the text alone. Some
minutes on two cores. The table compares four specs with the base and with training all of it; a
loss is in bits a byte, on text that trained nothing. It needs pefc alone.
"""

import argparse
import math
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

import pefc

HERE = Path(__file__).parent
SPECS = ("tiny_lora.peft", "tiny_adapter.peft", "tiny_prefix.peft", "tiny_mam.peft")
EVERYTHING = {"all of it": "tune on embed, layer, norm, head"}
LENGTH, BATCH = 128, 8
RATE, WARMUP = 2e-3, 0.1
HELD_BACK = 200
"""Sentences of each domain that a loss is of, but no more than train."""


@dataclass(frozen=True, slots=True)
class Text:
    """One domain: a run of bytes to train on, and rows of LENGTH bytes that are held back."""

    training: Tensor
    held_back: Tensor

    def batches(self, count: int) -> list[Tensor]:
        """Rows from anywhere in the text, the same each time."""
        order = torch.Generator().manual_seed(0)
        last = len(self.training) - LENGTH
        starts = torch.randint(last, (count, BATCH, 1), generator=order)
        return list(self.training[starts + torch.arange(LENGTH)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1600, help="tweets to train on")
    parser.add_argument("--steps", type=int, help="of pretraining; else rows // 8")
    given = parser.parse_args()
    steps = given.steps or max(8, given.rows // 8)
    console = Console(width=100)
    films, tweets = read("movies", 2 * given.rows), read("tweets", given.rows)

    model = build()
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    trains = count(model)
    seconds = train(model, films.batches(steps), optimizer, console)
    before = (bits(model, tweets), bits(model, films))
    table = Table("", "trains", "loss on tweets", "on film reviews", "seconds")
    table.add_row("pretrained", *cells(trains, *before, seconds))

    batches = tweets.batches(steps // 4)
    for name, spec in {**{name: pefc.read(HERE / name) for name in SPECS}, **EVERYTHING}.items():
        pefc.apply(spec, model)
        trains = count(model)
        seconds = train(model, batches, pefc.optimizer(model, lr=RATE), console)
        table.add_row(name, *cells(trains, bits(model, tweets), bits(model, films), seconds))
        pefc.remove(model)
        assert (bits(model, tweets), bits(model, films)) == before
    console.print(table)
    console.print("with each spec removed, both losses were again those of the pretrained model")


def read(domain: str, rows: int) -> Text:
    """The sentences of a domain, a line each."""
    lines = (HERE / "data" / f"{domain}.tsv").read_text(encoding="utf-8").splitlines()[1:]
    sentences = [line.split("\t", 1)[1] + "\n" for line in lines]
    held_back = as_bytes(sentences[: min(HELD_BACK, rows)])
    whole = len(held_back) // LENGTH * LENGTH
    training = as_bytes(sentences[HELD_BACK : HELD_BACK + rows])
    return Text(training, held_back[:whole].view(-1, LENGTH))


def as_bytes(sentences: list[str]) -> Tensor:
    return torch.tensor(list("".join(sentences).encode()))


def build() -> LlamaForCausalLM:
    """Three layers of width 256, without weights that anyone has trained."""
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=LENGTH,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config)


def train(
    model: nn.Module, batches: list[Tensor], optimizer: torch.optim.Optimizer, console: Console
) -> float:
    """One pass over the batches, whose seconds are returned; the rate climbs, then falls."""
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(share, total=len(batches)))
    start = time.perf_counter()
    model.train()
    for ids in track(batches, "training", console=console):
        model(ids, labels=ids, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    model.eval()
    return time.perf_counter() - start


def share(step: int, *, total: int) -> float:
    """The share of the rate at a step."""
    done = step / total
    return min((done + 1 / total) / WARMUP, (1 - done) / (1 - WARMUP))


@torch.inference_mode()
def bits(model: nn.Module, text: Text) -> float:
    """The mean loss on what is held back, in bits a byte."""
    rows = text.held_back.split(BATCH)
    total = sum(model(ids, labels=ids, use_cache=False).loss.item() * len(ids) for ids in rows)
    return total / len(text.held_back) / math.log(2)


def count(model: nn.Module) -> int:
    """How many parameters train."""
    return sum(each.numel() for each in model.parameters() if each.requires_grad)


def cells(trains: int, tweets: float, films: float, seconds: float) -> tuple[str, ...]:
    """A row of the table, behind its name."""
    return f"{trains:,}", f"{tweets:.3f}", f"{films:.3f}", f"{seconds:.0f}"


if __name__ == "__main__":
    main()
