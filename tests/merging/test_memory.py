import gc
from pathlib import Path

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

import pefc
from pefc.compiler.merge import rounding
from pefc.compiler.merge.tiles import evaluate as evaluation
from pefc.runtime.files import safetensors_shard as files

from ..models import perturb
from .folders import merged
from .peaks import Peak

PART = 1 << 11
"""Numbers of a strip here: far fewer than a weight has, as it is with large models."""
WIDTH = 256


def saved(folder: Path, width: int, spec: str, dtype: torch.dtype) -> int:
    """A base of one layer and an adapter; returns the bytes of its largest tensor."""
    config = LlamaConfig(
        vocab_size=width,
        hidden_size=width,
        intermediate_size=width,
        num_hidden_layers=1,
        num_attention_heads=8,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config).to(dtype)  # pyright: ignore[reportArgumentType]
    model.save_pretrained(folder / "base")
    _adapted(model, spec, folder)
    return max(tensor.nbytes for tensor in model.state_dict().values())


def _adapted(model: torch.nn.Module, spec: str, folder: Path) -> None:
    pefc.apply(spec, model)
    perturb(model)
    pefc.save(model, folder / "adapter")


def peak(folder: Path, **wish: object) -> int:
    """Bytes beside the adapter."""
    gc.collect()
    gc.disable()
    try:
        with Peak() as found:
            merged(folder, loss=9.0, **wish)
    finally:
        gc.enable()
    return found.bytes - (folder / "adapter" / "adapter.safetensors").stat().st_size


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips that are small beside the weights of a small model."""
    for module, name in ((evaluation, "PART"), (rounding, "PART"), (files, "_NUMBERS")):
        monkeypatch.setattr(module, name, PART)


STACKED = "lora(r=4) on linear; dora(r=4) on attn.o, ffn.gate; ia3 on ffn; vera(r=4) on attn.v"
CROSSED = "peanut(r=4) on attn.o; dora(r=2) on attn.o, ffn.up; peanut(r=4) on ffn.up"
PRODUCTS = "deft on attn.o, ffn.up; boft on ffn.{gate,down}; hira(r=4) on attn.q; loha on attn.k"
BITS = "quantize({}) on linear; lora(r=4) on attn, ffn.up; dora(r=4) on ffn.down"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("spec", [STACKED, CROSSED, PRODUCTS])
def test_the_peak_is_less_than_two_tensors_of_the_base(
    spec: str, dtype: torch.dtype, tmp_path: Path
) -> None:
    assert peak_of(tmp_path, spec, dtype) < 2


@pytest.mark.parametrize("into", [torch.float32, torch.bfloat16], ids=str)
def test_another_dtype_takes_no_more(into: torch.dtype, tmp_path: Path) -> None:
    assert peak_of(tmp_path, STACKED, torch.bfloat16, into=into) < 2


@pytest.mark.parametrize("form", ["nf4, double", "int8"])
@pytest.mark.parametrize("wish", [{"into": torch.bfloat16}, {"requantize": True}], ids=str)
def test_quantizing_is_done_in_strips(form: str, wish: dict[str, object], tmp_path: Path) -> None:
    assert peak_of(tmp_path, BITS.format(form), torch.bfloat16, **wish) < 2


def peak_of(folder: Path, spec: str, dtype: torch.dtype, **wish: object) -> float:
    """In tensors of the size of the largest of the base."""
    largest = saved(folder, WIDTH, spec, dtype)
    return peak(folder, **wish) / largest
