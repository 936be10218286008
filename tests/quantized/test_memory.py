"""A base that is read with its weights quantized never is in memory in floating point."""

import os
import subprocess
import sys
from pathlib import Path

import torch
from transformers import LlamaConfig, LlamaForCausalLM

WATCHED = """
import sys, threading, time
import pefc

SPEC = "quantize(nf4, double) on linear"

def held():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

def watch():
    global peak
    while not done:
        peak = max(peak, held())
        time.sleep(0.001)

pefc.base(SPEC, sys.argv[1])  # what the libraries need by themselves is there now
peak, done = held(), False
before = peak
watcher = threading.Thread(target=watch)
watcher.start()
model = pefc.base(SPEC, sys.argv[2])
done = True
watcher.join()
print(peak - before)
"""


def saved(folder: Path, *, width: int, layers: int) -> int:
    """A model in a folder; returns the bytes of its linear maps."""
    config = LlamaConfig(
        vocab_size=256,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    model = model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.fill_(0.01)
    model.save_pretrained(folder, max_shard_size="40MB")
    return sum(4 * p.numel() for name, p in model.named_parameters() if "proj" in name)


def test_no_more_than_the_quantized_weights_and_a_few_others(tmp_path: Path) -> None:
    saved(tmp_path / "small", width=64, layers=1)
    whole = saved(tmp_path / "large", width=1024, layers=6)
    command = [sys.executable, "-c", WATCHED, str(tmp_path / "small"), str(tmp_path / "large")]
    returning = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}  # freed memory goes back at once
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=returning)
    grown = int(found.stdout.split()[-1])
    quantized, largest = whole / 8 * 1.05, 4 * 1024 * 2048
    assert grown < quantized + 4 * largest, f"{grown / 2**20:.0f} MiB for {whole / 2**20:.0f} MiB"
