"""A batch of rows that belong to LoRA tasks: pefc beside HF PEFT, measured in turns in one run."""

import argparse
import statistics
import time
from collections.abc import Callable
from copy import deepcopy

import peft
import torch
from linear import TARGETS, small
from rich.console import Console
from rich.table import Table
from torch import nn

import pefc

RANK, ROWS, LENGTH = 8, 32, 32
COUNTS = (1, 4, 32, 256)
MOST_OF_PEFT = 32
"""PEFT takes long to attach more."""

Forward = Callable[[], object]


def ours(base: nn.Module, count: int) -> Forward:
    """Row i belongs to task i, and again from the first where there are fewer."""
    model = deepcopy(base)
    spec = "\n".join(f"task t{n} {{ lora(r={RANK}) on linear }}" for n in range(count))
    pefc.apply(spec, model)
    names = [f"t{row % count}" for row in range(ROWS)]
    ids = _ids()
    if count == 1:
        pefc.set_task(model, "t0")
        return lambda: model(ids, use_cache=False)

    def forward() -> object:
        with pefc.tasks(model, names):
            return model(ids, use_cache=False)

    return forward


def theirs(base: nn.Module, count: int) -> Forward:
    config = peft.LoraConfig(r=RANK, lora_alpha=RANK, target_modules=TARGETS)
    model = peft.get_peft_model(deepcopy(base), config, adapter_name="t0").eval()
    for number in range(1, count):
        model.add_adapter(f"t{number}", config)
    names = [f"t{row % count}" for row in range(ROWS)]
    ids = _ids()
    if count == 1:
        return lambda: model(input_ids=ids, use_cache=False)
    return lambda: model(input_ids=ids, adapter_names=names, use_cache=False)


def _ids() -> torch.Tensor:
    return torch.randint(2, 1000, (ROWS, LENGTH), generator=torch.Generator().manual_seed(0))


def seconds(forward: Forward) -> float:
    start = time.perf_counter()
    with torch.inference_mode():
        forward()
    return time.perf_counter() - start


def ratios(base: nn.Module, side: Callable[[nn.Module, int], Forward], rounds: int) -> list[str]:
    """Milliseconds of each count, and the median of its pairs with one task."""
    one = side(base, 1)
    found = []
    for count in COUNTS:
        if side is theirs and count > MOST_OF_PEFT:
            found.append("")
            continue
        many = one if count == 1 else side(base, count)
        pairs = [(seconds(one), seconds(many)) for _ in range(rounds + 1)][1:]
        took = statistics.median(b for _, b in pairs) * 1e3
        share = statistics.median(b / a for a, b in pairs)
        found.append(f"{took:,.0f} ms ({share:.2f})")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="pairs that are measured")
    rounds = parser.parse_args().rounds
    base = small().eval()
    columns = [f"{count} task{'' if count == 1 else 's'}" for count in COUNTS]
    table = Table(f"{ROWS} rows of {LENGTH} tokens", *columns)
    table.add_row("pefc", *ratios(base, ours, rounds))
    table.add_row("PEFT", *ratios(base, theirs, rounds))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
