"""A batch whose rows belong to different tasks computes what the rows compute task by task."""

import pytest
import torch

import pefc

from ..models import words
from .models import MODELS, ROWS, computed, gradients, tasked

LINEAR = """\
task a { lora(r=2) on attn.q, ffn }
task b { lora(r=2) on attn.q, ffn }
task c { dora(r=2) on attn.v; ia3 on attn.k; ia3 on ffn }
task d { vera(r=3) on attn.q }
"""
BLOCKS = """\
task a { adapter(r=3) on ffn }
task b { adapter(parallel, r=3) on ffn }
task c { adapter(r=3) on attn; loreft on layer }
task d { gate(unipelt) { lora(r=2) on attn.q; adapter(r=2) on ffn } }
"""
GATED = """\
task a { gate(unipelt) { lora(r=2) on attn.q; prefix(len=3) all layers } }
task b { gate(unipelt) { lora(r=2) on attn.q; prefix(len=3) all layers } }
"""
PREFIXES = """\
task a { prefix(len=3) all layers }
task b { prefix(len=5) all layers }
task c { prefix(len=3, mlp=4) all layers }
task d { llama_adapter(len=2) in layers 1 }
"""
PROMPTS = """\
task a { prompt(len=2) }
task b { prompt(len=5); lora(r=2) on attn.q }
task c { p_tuning(len=2, h=4) }
task d { adapter(r=2) on ffn }
"""
SPECS = {
    "linear": LINEAR,
    "blocks": BLOCKS,
    "gated": GATED,
    "prefixes": PREFIXES,
    "prompts": PROMPTS,
}
CASES = [(m, s) for m in MODELS for s in SPECS]
CLOSE = {"atol": 1e-10, "rtol": 0}


@pytest.mark.parametrize(("name", "spec"), CASES)
def test_rows_are_what_they_are_alone(name: str, spec: str) -> None:
    model = tasked(name, SPECS[spec])
    tasks = pefc.task_names(model)
    names = [tasks[0], tasks[1], tasks[-1], None]
    rows = words(rows=ROWS)
    noise = torch.linspace(-1, 1, 7, dtype=torch.double)[None, :, None]
    with pefc.tasks(model, names):
        mixed = computed(model)
    noise = noise[:, : mixed.shape[1]]
    (mixed * noise).sum().backward()
    together = gradients(model)
    for place, task in enumerate(names):
        pefc.set_task(model, task)
        alone = computed(model, rows[place : place + 1])
        torch.testing.assert_close(mixed[place : place + 1], alone, **CLOSE)
        if alone.requires_grad:
            (alone * noise).sum().backward()
    apart = gradients(model)
    scale = max(float(value.abs().max()) for value in apart.values())
    for key, value in apart.items():
        torch.testing.assert_close(together[key] / scale, value / scale, **CLOSE)
    assert scale > 0
