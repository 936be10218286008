import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import pefc

from ..models import perturb

MEASURED = """
import json, sys, threading, time
from pathlib import Path
from pefc.compiler import shards
from pefc.compiler.wishes import Wish

def anonymous():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon"))

class Watch(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)
        self.before = self.peak = anonymous()

    def run(self):
        while True:
            self.peak = max(self.peak, anonymous())
            time.sleep(0.0005)

small, large = map(Path, sys.argv[1:])
wish = Wish(loss=1.0)
shards.merge_folder(small / "base", small / "adapter", small / "out", wish)
watch = Watch()
watch.start()
shards.merge_folder(large / "base", large / "adapter", large / "out", wish)
print(json.dumps(watch.peak - watch.before))
"""
"""Merges a small model, so that what the libraries keep is there, and then says what more a large
one takes at its peak."""


def saved(folder: Path, width: int, spec: str, dtype: torch.dtype) -> LlamaForCausalLM:
    """A base of three layers and an adapter."""
    config = LlamaConfig(
        vocab_size=5 * width // 2,
        hidden_size=width,
        intermediate_size=5 * width // 2,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config).to(dtype)
    model.save_pretrained(folder / "base", max_shard_size="40MB")
    pefc.apply(spec, model)
    perturb(model)
    pefc.save(model, folder / "adapter")
    return model


SPEC = """
lora(r=4) on attn.{q,k,v}, ffn.{up,down}
dora(r=4) on attn.o, ffn.gate
ia3 on ffn.{up,down}
"""


@pytest.mark.parametrize(
    ("dtype", "width", "most"), [(torch.float32, 1024, 2), (torch.bfloat16, 512, 3)], ids=str
)
def test_the_peak_is_a_few_tensors(
    dtype: torch.dtype, width: int, most: int, tmp_path: Path
) -> None:
    """Counted in 32 bits, in which sums are formed; a weight of 16 is widened before."""
    saved(tmp_path / "small", 64, SPEC, dtype)
    model = saved(tmp_path / "large", width, SPEC, dtype)
    sizes = [tensor.numel() * 4 for tensor in model.state_dict().values()]
    assert sum(sizes) > 14 * max(sizes)
    result = subprocess.run(
        [sys.executable, "-c", MEASURED, *(str(tmp_path / name) for name in ("small", "large"))],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "100000"},
    )
    adapter = sum(path.stat().st_size for path in (tmp_path / "large" / "adapter").iterdir())
    peak = json.loads(result.stdout)
    assert max(sizes) < peak < most * max(sizes) + adapter + 3 * 2**20, f"{peak:,}"
