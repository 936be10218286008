"""A batch whose rows belong to different tasks computes what the rows compute task by task."""

import pytest
import torch

import pefc

from ..models import words
from .models import MODELS, computed, gradients, tasked

LINEAR = """\
task one { lora(r=2) on attn.q, ffn }
task two { lora(r=2) on attn.q, ffn }
task three { dora(r=2) on attn.v; ia3 on attn.k; ia3(side=input) on ffn }
task four { vera(r=3) on attn.q }
"""
STRUCTURED = """\
task one { miss(r=4) on attn.o; road(group=4) on ffn.down }
task two { miss(r=4) on attn.o; c3a(size=4) on ffn.down }
task three { shira(r=2) on attn.o; lokr(r=2) on ffn.down }
task four { hra(r=2) on attn.o; gralora(r=2) on ffn.down; fourierft(n=9) on ffn.up }
"""
"""Matrices that repeat themselves, or have entries at a few positions."""
BLOCKS = """\
task one { adapter(r=3) on ffn }
task two { adapter(parallel, r=3) on ffn; compacter(r=4) on attn }
task three { adapter(r=3) on attn; adapter(pfeiffer, r=3) on ffn; loreft on layer }
task four { gate(unipelt) { lora(r=2) on attn.q; adapter(r=2) on ffn } }
"""
GATED = """\
task one { gate(unipelt) { lora(r=2) on attn.q; prefix(len=3) all layers } }
task two { gate(unipelt) { lora(r=2) on attn.q; prefix(len=3) all layers } }
"""
ALIKE = """\
task one { lora(r=2) on ffn; adapter(r=2) on ffn }
task two { gate(unipelt) { lora(r=2) on ffn }; adapter(r=2) on ffn }
task three { adapter(r=2) on ffn }
"""
"""What tells patches of tasks apart: gates, and blocks that end in a map which is patched too."""
PREFIXES = """\
task one { prefix(len=3) all layers }
task two { prefix(len=5) all layers }
task three { prefix(len=3, mlp=4) all layers }
task four { llama_adapter(len=2) in layers 1 }
"""
PROMPTS = """\
task one { prompt(len=2) }
task two { prompt(len=5); lora(r=2) on attn.q }
task three { p_tuning(len=2, h=4) }
task four { adapter(r=2) on ffn }
"""
UNLIKE = """\
task one { adapter(r=2) on ffn; vera(r=2) on attn.q; lora(r=2) on linear except attn.q as rest }
task two {
  gate(unipelt) { adapter(r=2) on ffn }
  vera(r=2) on attn.q, ffn
  lora(r=2) on linear except attn.k as rest
}
task three { prefix(len=2, mlp=4) on attn in layers 0 }
task four { prefix(len=2, mlp=4) on attn; adapterdrop(0..1, eval=1) { adapter(r=2) on ffn } }
"""
"""Tasks with the same methods, which a gate, sizes, rows or layers tell apart."""
GATED_LENGTHS = """\
task one { lora(r=2) on attn.q, ffn; adapter(r=6) on ffn; prefix(len=3) all layers; gate(unipelt) }
task two { prompt(len=4); gate(unipelt) { lora(r=2) on attn.q } }
task four { lora(r=2) on attn.q, ffn; adapter(r=6) on ffn; prefix(len=3) all layers; gate(unipelt) }
"""
"""A row with a longer prompt pads the others, and padding is no part of a gate's mean."""
SPECS = {
    "gated_lengths": GATED_LENGTHS,
    "linear": LINEAR,
    "structured": STRUCTURED,
    "blocks": BLOCKS,
    "gated": GATED,
    "alike": ALIKE,
    "prefixes": PREFIXES,
    "prompts": PROMPTS,
    "unlike": UNLIKE,
}
UNLIKE_MASKS = {("sdpa", "prompts"), ("sdpa", "gated_lengths")}
"""Prompts of different lengths need a mask, which a model outside of transformers does not take."""
CASES = [(m, s) for m in MODELS for s in SPECS if (m, s) not in UNLIKE_MASKS]
CLOSE = {"atol": 1e-10, "rtol": 0}


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_rows_are_what_they_are_alone(name: str, spec: str) -> None:
    model = tasked(name, SPECS[spec])
    tasks = pefc.task_names(model)
    names = (*tasks[:2], None, *tasks[2:])
    rows = words(rows=len(names))
    with pefc.tasks(model, names):
        mixed = computed(model, rows)
    noise = torch.linspace(-1, 1, mixed[0].numel(), dtype=torch.double).sin().view(mixed[0].shape)
    (mixed.square() * noise).sum().backward()
    together = gradients(model)
    for place, task in enumerate(names):
        pefc.set_task(model, task)
        alone = computed(model, rows[place : place + 1])
        torch.testing.assert_close(mixed[place : place + 1], alone, **CLOSE)
        if alone.requires_grad:
            (alone.square() * noise).sum().backward()
    apart = gradients(model)
    scale = max(float(value.abs().max()) for value in apart.values())
    for key, value in apart.items():
        torch.testing.assert_close(together[key] / scale, value / scale, **CLOSE)
        is_dropped = spec == "unlike" and ".four.adapter." in key and ".0." in key
        assert bool(value.any()) != is_dropped, key


def test_tasks_that_differ_by_a_gate_alone() -> None:
    """The gate of one is not lost where another has the same method without one."""
    spec = "lora(r=2) on attn.q"
    model = tasked("llama", f"task one {{ {spec} }}\ntask two {{ gate(unipelt) {{ {spec} }} }}")
    pefc.set_task(model, "two")
    computed(model).square().sum().backward()
    found = gradients(model).items()
    gates = {key: value for key, value in found if ".two." in key and "gate" in key}
    assert gates
    assert all(value.any() for value in gates.values())
