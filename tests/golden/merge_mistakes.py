"""Mistakes of whoever merges into a folder: each function makes one, in an empty working folder."""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import pefc

from ..models import gpt2, llama, neox, perturb
from .command_mistakes import command

MERGE = ("merge", "base", "adapter", "-o", "merged")


def folders(
    spec: str = "lora(r=2) on attn.q",
    build: Callable[..., torch.nn.Module] = llama,
    dtype: torch.dtype = torch.float32,
    scale: float = 0.3,
) -> None:
    """`base`, in shards, and `adapter`, which is trained a little."""
    model = build().to(dtype)
    model.save_pretrained("base", max_shard_size="10KB")  # pyright: ignore[reportCallIssue]
    pefc.apply(spec, model)
    perturb(model, scale=scale)
    pefc.save(model, "adapter")


def no_checkpoint() -> None:
    folders()
    for path in Path("base").glob("model*"):
        path.unlink()
    command(*MERGE)


def no_folder() -> None:
    folders()
    command("merge", "org/base", "adapter", "-o", "merged")


def damaged_checkpoint() -> None:
    folders()
    path = Path("base/model-00002-of-00007.safetensors")
    path.write_bytes(path.read_bytes()[:1000])
    command(*MERGE)


def other_sizes() -> None:
    folders()
    path = Path("base/config.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "intermediate_size": 48}))
    command(*MERGE)


def missing_tensor() -> None:
    folders("lora(r=2) on head", neox)
    command(*MERGE)


def quantized_checkpoint() -> None:
    folders()
    path = Path("base/config.json")
    quantization = {"quant_method": "gptq", "bits": 4}
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "quantization_config": quantization})
    )
    command(*MERGE)


def output_exists() -> None:
    folders()
    command("merge", "base", "adapter", "-o", "base")


def output_inside() -> None:
    folders()
    command("merge", "base", "adapter", "-o", "base/merged")


def unwritable_output() -> None:
    folders()
    command("merge", "base", "adapter", "-o", "missing/merged")


def overflow() -> None:
    folders()
    path = Path("base/model-00001-of-00007.safetensors")
    tensors = load_file(path)
    tensors["model.embed_tokens.weight"][7, 3] = 1e6
    save_file(tensors, path)
    command(*MERGE, "--into", "fp16", "--other-base")


def quantized_merge() -> None:
    folders("quantize(nf4, compute=fp32) on linear; lora(r=2) on attn.{q,v}")
    command(*MERGE)


def folder_not_affine() -> None:
    folders("lora(r=2) on attn.q; adapter(r=2) on ffn; prefix(len=2) all layers")
    command(*MERGE)


def folder_tied() -> None:
    folders("lora(r=2) on head", gpt2)
    command(*MERGE)


def folder_without_bias() -> None:
    folders("beft on attn.q")
    command(*MERGE)


def folder_lossy() -> None:
    folders("lora(r=2) on attn.{q,v}", dtype=torch.bfloat16, scale=0.01)
    command(*MERGE)


def folder_of_tasks() -> None:
    folders("task movies { lora(r=2) on attn.q }")
    command(*MERGE)


def folder_of_another_base() -> None:
    folders(build=gpt2)
    llama().save_pretrained("llama")
    command("merge", "llama", "adapter", "-o", "merged")


MERGE_MISTAKES: tuple[Callable[[], None], ...] = (
    no_checkpoint,
    no_folder,
    damaged_checkpoint,
    other_sizes,
    missing_tensor,
    quantized_checkpoint,
    output_exists,
    output_inside,
    unwritable_output,
    overflow,
    quantized_merge,
    folder_not_affine,
    folder_tied,
    folder_without_bias,
    folder_lossy,
    folder_of_tasks,
    folder_of_another_base,
)
