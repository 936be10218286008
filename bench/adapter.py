"""An adapter of a gigabyte: how long it takes to attach, save, load and remove it, and how much of
memory each of these needs at most beside what it finds and leaves.

The base has the shapes of a model of eight thousand million parameters, and takes no memory: each
of its weights is one number, many times.
"""

import argparse
import tempfile
import time
from collections.abc import Callable

import torch
from memory import settled, status
from rich.console import Console
from rich.table import Table
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

import pefc

_GIB = 2**30


def base(layers: int) -> LlamaForCausalLM:
    """All weights are zero."""
    config = LlamaConfig(
        vocab_size=128_256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=layers,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
    with torch.device("meta"):
        model = LlamaForCausalLM(config)
    for path, parameter in list(model.named_parameters()):
        module, _, name = path.rpartition(".")
        zeros = nn.Parameter(torch.zeros(1).expand(parameter.shape))
        setattr(model.get_submodule(module), name, zeros)
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    return model


def measured(table: Table, name: str, work: Callable[[], object]) -> None:
    """A row: the seconds of some work, and its memory."""
    before, start = settled(), time.perf_counter()
    work()
    seconds = time.perf_counter() - start
    most = status("VmHWM") - max(before, status("VmRSS"))
    table.add_row(name, f"{seconds:.1f} s", f"{most / _GIB:.2f} GiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rank", type=int, default=104)
    parser.add_argument("--layers", type=int, default=32)
    given = parser.parse_args()
    model, spec = base(given.layers), f"lora(r={given.rank}) on linear"
    table = Table("", "seconds", "beside its result")
    measured(table, "apply", lambda: pefc.apply(spec, model))
    size = sum(each.nbytes for each in model.parameters() if each.requires_grad)
    with tempfile.TemporaryDirectory() as folder:
        measured(table, "save", lambda: pefc.save(model, folder))
        measured(table, "remove", lambda: pefc.remove(model))
        measured(table, "load", lambda: pefc.load(model, folder))
    console = Console(width=100)
    console.print(f"{spec}: an adapter of {size / _GIB:.2f} GiB")
    console.print(table)


if __name__ == "__main__":
    main()
