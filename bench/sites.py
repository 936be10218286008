"""Blocks, attention and tokens: pefc beside HF PEFT and the bare base, measured in turns in one
run. PEFT has no bottlenecks behind blocks.
"""

import argparse
import time
from copy import deepcopy

import peft
import torch
from linear import PROMPT, Measure, bare, in_turns, small, training_step
from rich.console import Console
from rich.table import Table
from torch import nn

import pefc

LENGTH, NEW = 20, 16
VIRTUAL = {"task_type": "CAUSAL_LM", "num_virtual_tokens": LENGTH}
SPECS: dict[str, peft.PeftConfig | None] = {
    "adapter(r=16) on attn, ffn": None,
    f"prefix(len={LENGTH}) all layers": peft.PrefixTuningConfig(**VIRTUAL),
    f"prompt(len={LENGTH})": peft.PromptTuningConfig(**VIRTUAL),
}
"""What PEFT is asked for beside each spec."""
SIDES = ("base", "PEFT", "pefc")


def attached(spec: str, config: peft.PeftConfig | None) -> dict[str, nn.Module]:
    base = small()
    found = {"base": bare(deepcopy(base))}
    if config is not None:
        found["PEFT"] = peft.get_peft_model(deepcopy(base), config)
    return found | {"pefc": pefc.apply(spec, base)}


def generating(model: nn.Module) -> Measure:
    """Seconds of a token of `generate`, which fills a cache with the prompt first."""
    ids = torch.ones(1, PROMPT, dtype=torch.long)
    asked = {"attention_mask": torch.ones_like(ids), "pad_token_id": 0, "do_sample": False}

    @torch.inference_mode()
    def measure() -> float:
        start = time.perf_counter()
        model.eval().generate(input_ids=ids, min_new_tokens=NEW, max_new_tokens=NEW, **asked)
        return (time.perf_counter() - start) / NEW

    return measure


def row(table: Table, spec: str, name: str, found: dict[str, float]) -> None:
    """One measure of one spec."""
    values = [f"{found[side] * 1e3:,.2f} ms" if side in found else "" for side in SIDES]
    shares = [f"{found['pefc'] / found[side]:.2f}" if side in found else "" for side in SIDES[:2]]
    table.add_row(spec, name, *values, *shares)


def report(rounds: int) -> Table:
    table = Table("", "", *SIDES, "pefc / base", "pefc / PEFT")
    for spec, config in SPECS.items():
        models = attached(spec, config)
        steps = in_turns({name: training_step(model) for name, model in models.items()}, rounds)
        row(table, spec, "training step", steps)
        tokens = in_turns({name: generating(model) for name, model in models.items()}, rounds)
        row(table, "", "token of generate", tokens)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns that each side takes")
    Console(width=120).print(report(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
