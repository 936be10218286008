"""LoRA on every linear map: pefc beside HF PEFT and the bare base, measured in turns in one run."""

import argparse
import gc
import statistics
import time
from collections.abc import Callable
from copy import deepcopy

import peft
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from transformers import DynamicCache, LlamaConfig, LlamaForCausalLM

import pefc

RANK = 16
BATCH, LENGTH, PROMPT = 4, 128, 64
SPEC = f"lora(r={RANK}, alpha={2 * RANK}) on linear"
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]

Measure = Callable[[], float]


def small() -> nn.Module:
    """8 layers of width 512."""
    config = LlamaConfig(
        vocab_size=1024,
        hidden_size=512,
        intermediate_size=1408,
        num_hidden_layers=8,
        num_attention_heads=8,
    )
    torch.manual_seed(0)
    return LlamaForCausalLM(config)


def large() -> nn.Module:
    """80 layers of width 8192, without weights."""
    config = LlamaConfig(
        hidden_size=8192,
        intermediate_size=28672,
        num_hidden_layers=80,
        num_attention_heads=64,
        num_key_value_heads=8,
    )
    with torch.device("meta"):
        return LlamaForCausalLM(config)


def bare(model: nn.Module) -> nn.Module:
    return model.requires_grad_(requires_grad=False)


def with_peft(model: nn.Module) -> nn.Module:
    config = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules=TARGETS)
    return peft.get_peft_model(model, config)


def with_pefc(model: nn.Module) -> nn.Module:
    return pefc.apply(pefc.parse(SPEC), model)


SIDES = {"base": bare, "PEFT": with_peft, "pefc": with_pefc}


def training_step(model: nn.Module) -> Measure:
    """Seconds of forward, backward and update; the input has a gradient, so the base has a
    backward.
    """
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained) if trained else None
    states = torch.randn(BATCH, LENGTH, 512, requires_grad=True)

    def measure() -> float:
        start = time.perf_counter()
        model.train()(inputs_embeds=states, use_cache=False).logits.square().mean().backward()
        if optimizer:
            optimizer.step()
            optimizer.zero_grad()
        return time.perf_counter() - start

    return measure


def decoding(model: nn.Module) -> Measure:
    """Seconds of one token behind a cached prompt."""
    token = torch.ones(1, 1, dtype=torch.long)
    cache = DynamicCache(config=model.config)
    with torch.inference_mode():
        model.eval()(input_ids=token.expand(1, PROMPT), past_key_values=cache)

    @torch.inference_mode()
    def measure() -> float:
        start = time.perf_counter()
        model.eval()(input_ids=token, past_key_values=cache)
        seconds = time.perf_counter() - start
        cache.crop(-1)
        return seconds

    return measure


def saved_activations(model: nn.Module) -> float:
    """Bytes that autograd keeps for the backward pass, beside the model's own tensors."""
    own = {tensor.untyped_storage().data_ptr() for tensor in model.state_dict().values()}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    states = torch.randn(BATCH, LENGTH, 512, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model.train()(inputs_embeds=states, use_cache=False).logits.square().mean()
    loss.backward()
    return float(sum(kept.values()))


def attaching(attach: Callable[[nn.Module], nn.Module], build: Callable[[], nn.Module]) -> Measure:
    """Seconds from a fresh model to one that is adapted."""

    def measure() -> float:
        model = build()
        gc.collect()
        start = time.perf_counter()
        attach(model)
        return time.perf_counter() - start

    return measure


def in_turns(measures: dict[str, Measure], rounds: int) -> dict[str, float]:
    """The median of each side; they take turns, so that the machine's other work meets all of
    them.
    """
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds + 1):
        for name, measure in measures.items():
            taken[name].append(measure())
    return {name: statistics.median(times[1:]) for name, times in taken.items()}


def row(table: Table, name: str, found: dict[str, float], unit: str, scale: float) -> None:
    """One measure: the values, pefc over PEFT, and each side's overhead over the base."""
    base, theirs, ours = (found.get(side, 0.0) for side in SIDES)
    values = [f"{value * scale:,.2f} {unit}" if value else "" for value in (base, theirs, ours)]
    share = f"{(ours - base) / (theirs - base):.2f}" if base else ""
    table.add_row(name, *values, f"{ours / theirs:.2f}", share)


def report(rounds: int) -> Table:
    base = small()
    models = {name: attach(deepcopy(base)) for name, attach in SIDES.items()}
    attached = [name for name in SIDES if name != "base"]
    table = Table("", *SIDES, "pefc / PEFT", "of PEFT's overhead")
    steps = in_turns({name: training_step(model) for name, model in models.items()}, rounds)
    row(table, "training step", steps, "ms", 1e3)
    tokens = in_turns({name: decoding(model) for name, model in models.items()}, 4 * rounds)
    row(table, "decode of one token", tokens, "ms", 1e3)
    saved = {name: saved_activations(model) for name, model in models.items()}
    row(table, "saved activations", saved, "MiB", 2**-20)
    del models
    fresh = {name: attaching(SIDES[name], lambda: deepcopy(base)) for name in attached}
    row(table, "attach", in_turns(fresh, 3), "ms", 1e3)
    meta = {name: attaching(SIDES[name], large) for name in attached}
    row(table, "attach, 80 layers on meta", in_turns(meta, 3), "ms", 1e3)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="turns that each side takes")
    Console(width=120).print(report(parser.parse_args().rounds))


if __name__ == "__main__":
    main()
