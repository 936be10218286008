"""The memory of a step of training: what `pefc plan --train` tells, and by how much a process grows
that trains.
"""

import argparse
import ctypes
import gc
import re
import subprocess
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM

import pefc
from pefc.compiler.memory import Setup, estimate, setup

SPECS = {
    "lora": "lora(r=8) on linear except head",
    "adapter": "adapter(r=16) on ffn",
    "prefix": "prefix(len=20) all layers",
    "norms": "tune on norm",
    "qlora": "quantize(nf4, double) on linear except head; lora(r=8) on linear except head",
}
STEP = "batch=8,len=256"
STEPS = 3
_MIB = 2**20


def small() -> LlamaForCausalLM:
    """8 layers of width 512: 29 million parameters."""
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
        num_key_value_heads=4,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config)


def told(spec: str, wanted: Setup) -> int:
    with torch.device("meta"):
        model = small()
    return estimate(pefc.plan(spec, model), model, wanted).sum


def grown(spec: str, wanted: Setup) -> int:
    """By how much this process grows; the base is made, and quantized, before it is looked at."""
    train(spec, Setup(batch=1, length=8, dtype=wanted.dtype))  # libraries take their own room
    start = _settled()
    train(spec, wanted)
    return _status("VmHWM") - start


def train(spec: str, wanted: Setup) -> None:
    assert wanted.dtype is not None
    torch.set_default_dtype(wanted.dtype)
    model = pefc.apply(spec, small()).train()
    optimizer = pefc.optimizer(model, lr=1e-4)
    ids = torch.zeros(wanted.batch, wanted.length, dtype=torch.long)
    _settled()
    for _ in range(STEPS):
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


def _settled() -> int:
    """Give back what is free, forget how large the process was, and say how large it is."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def row(name: str, dtype: str) -> tuple[str, ...]:
    text = f"{STEP},dtype={dtype}"
    words = [sys.executable, __file__, "--one", name, text]
    measured = int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    expected = told(SPECS[name], setup(text))
    return (
        name,
        dtype,
        f"{expected / _MIB:.0f}",
        f"{measured / _MIB:.0f}",
        f"{expected / measured:.2f}",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, help="measure one spec in this process")
    asked = parser.parse_args()
    if asked.one is not None:
        name, text = asked.one
        print(grown(SPECS[name], setup(text)))
        return
    table = Table(title=f"MiB of a step, {STEP}")
    for column in ("spec", "dtype", "told", "the process grows by", "told / grown"):
        table.add_column(column, justify="left" if column in {"spec", "dtype"} else "right")
    for name in SPECS:
        for dtype in ("fp32", "bf16"):
            table.add_row(*row(name, dtype))
    Console().print(table)


if __name__ == "__main__":
    main()
