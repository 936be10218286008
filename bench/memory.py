"""The memory of a step of training: what `pefc plan --train` tells, the bytes of the tensors that
are alive in it, and by how much a process grows.

The C library keeps what is freed for tensors to come, and they do not always fit into it. Where it
maps large blocks alone, and so gives them back, a process grows by its tensors.
"""

import argparse
import ctypes
import gc
import json
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from transformers import LlamaConfig, LlamaForCausalLM

import pefc
from pefc.compiler.measure.memory.estimate import estimate
from pefc.compiler.measure.memory.meta_step import Live
from pefc.compiler.measure.memory.setup import Setup, setup

SPECS = {
    "lora": "lora(r=8) on linear",
    "dora": "dora(r=8) on linear",
    "adapter": "adapter(r=16) on ffn",
    "prefix": "prefix(len=20) all layers",
    "tune": "tune on linear, norm",
    "qlora": "quantize(nf4, double) on linear; lora(r=8) on linear",
}
STEP = "batch=8,len=256"
STEPS = 2
"""Gradients and moments stay from the first on."""
_MIB = 2**20
_M_MMAP_THRESHOLD = -3
_LARGE = 1 << 16
"""Bytes of a block that the C library is to map alone; `MALLOC_MMAP_THRESHOLD_` says the same."""


def small() -> LlamaForCausalLM:
    """4 layers of width 512: 14 million parameters."""
    config = LlamaConfig(
        vocab_size=2048,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config)


def told(spec: str, wanted: Setup) -> int:
    with torch.device("meta"):
        model = small()
    return estimate(pefc.plan(spec, model), model, wanted).sum


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes of a training in a process that does nothing else."""

    tensors: int
    """The most that are alive at once."""
    grown: int
    """What the process grows by, where it has trained so before and large blocks are mapped."""
    kept: int
    """What it has grown by after the first time, for good: kernels, and their own room."""
    usual: int
    """What it grows by from the start, where it takes blocks as it comes."""


def measured(spec: str, wanted: Setup) -> Measured:
    tensors, grown, kept = _in_child(lambda: _mapped(spec, wanted))
    return Measured(tensors, grown, kept, *_in_child(lambda: (_grown(spec, wanted, STEPS)[1],)))


def _mapped(spec: str, wanted: Setup) -> tuple[int, int, int]:
    ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
    before = settled()
    _grown(spec, wanted, 1)
    kept = settled() - before
    return *_grown(spec, wanted, STEPS), kept


def _grown(spec: str, wanted: Setup, steps: int) -> tuple[int, int]:
    """The bytes of tensors, and of the process beside what it was."""
    start = settled()
    tensors = train(spec, wanted, steps)
    return tensors, status("VmHWM") - start


def train(spec: str, wanted: Setup, steps: int) -> int:
    """Train some steps, and say how many bytes of tensors there were at once."""
    assert wanted.dtype is not None
    torch.set_default_dtype(wanted.dtype)
    with Live(()) as live:
        model = pefc.apply(spec, small()).train()
        if wanted.checkpointing:
            model.activation_checkpointing_enable({"use_reentrant": False})  # pyright: ignore[reportCallIssue]
        optimizer = pefc.optimizer(model, lr=1e-4)
        ids = torch.zeros(wanted.batch, wanted.length, dtype=torch.long)
        settled()  # the base that was quantized is gone
        live.peak = live.now
        for _ in range(steps):
            model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    return live.peak


def _in_child(act: Callable[[], tuple[int, ...]]) -> tuple[int, ...]:
    """What a function gives in a process of its own, which starts as this one is."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, json.dumps(act()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    return tuple(json.loads(text))


def settled() -> int:
    """Give back what is free, forget how large the process was, and say how large it is."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


def status(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return 1024 * int(found[1])


def row(name: str, step: str) -> dict[str, object]:
    """What is told and measured of one spec, in bytes."""
    wanted = setup(step)
    found = asdict(measured(SPECS[name], wanted))
    return {"spec": name, "step": step, "told": told(SPECS[name], wanted), **found}


def table(rows: Iterable[dict[str, object]]) -> Table:
    """MiB, a row for each step."""
    drawn = Table(title=f"MiB of training, {STEP}")
    for name in ("spec", "step"):
        drawn.add_column(name)
    for name in ("told", "tensors", "grows by", "told / grows", "libraries", "unmapped"):
        drawn.add_column(name, justify="right")
    for each in rows:
        sizes = [f"{each[n] / _MIB:.0f}" for n in ("told", "tensors", "grown", "kept", "usual")]  # pyright: ignore[reportOperatorIssue]
        ratio = f"{each['told'] / each['grown']:.2f}"  # pyright: ignore[reportOperatorIssue]
        words = str(each["step"]).removeprefix(f"{STEP},dtype=").replace(",", ", ")
        drawn.add_row(str(each["spec"]), words, *sizes[:3], ratio, *sizes[3:])
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", nargs="+", metavar=("SPEC", "STEP"), help="these specs alone")
    asked = parser.parse_args()
    torch.set_num_threads(1)  # the threads of a process do not come along with a child
    if asked.json is not None:
        *names, step = asked.json
        print(json.dumps([row(name, step) for name in names]))
        return
    steps = (f"{STEP},dtype={each}" for each in ("fp32", "bf16"))
    steps = [each + way for each in steps for way in ("", ",checkpointing")]
    Console().print(table([row(name, step) for name in SPECS for step in steps]))


if __name__ == "__main__":
    main()
