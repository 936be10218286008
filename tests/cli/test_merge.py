from pathlib import Path

import torch
from transformers import LlamaForCausalLM

import pefc

from ..models import llama, output, perturb
from .conftest import Run


def saved(folder: Path, spec: str) -> LlamaForCausalLM:
    model = llama()
    model.save_pretrained(folder / "base", max_shard_size="20KB")
    pefc.apply(spec, model)
    perturb(model)
    pefc.save(model, folder / "out")
    return model


def test_what_was_written_is_said(run: Run, tmp_path: Path) -> None:
    model = saved(tmp_path, "lora(r=2) on attn.{q,v}; tune on norm")
    result = run("merge", "base", "out", "-o", "merged")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "merged: base with 4 modules merged, 5 tuned parameters, 48.5 KiB\n"
    found = LlamaForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(output(found), output(model), atol=2e-5, rtol=1e-5)


def test_what_is_lost_is_said(run: Run, tmp_path: Path) -> None:
    saved(tmp_path, "lora(r=2) on attn.q in layers 1")
    result = run("merge", "base", "out", "-o", "merged", "--into", "bf16")
    assert result.exit_code == 0, result.stderr
    first, second = result.stdout.splitlines()
    assert first == "merged: base with 1 module merged, 24.2 KiB"
    assert second.startswith("rounding to bf16 lost up to ")
    assert second.endswith("% of an update, at `model.layers.1.self_attn.q_proj`")


def test_a_loss_is_refused_unless_it_is_accepted(run: Run, tmp_path: Path) -> None:
    saved(tmp_path, "lora(r=2) on attn.q in layers 1")
    words = ("merge", "base", "out", "-o", "merged", "--into", "bf16", "--loss", "0.0001")
    result = run(*words)
    assert result.exit_code == 1
    assert "error[lossy-merge]" in result.stderr
    assert not (tmp_path / "merged").exists()
    assert run(*words[:-1], "0.1").exit_code == 0


def test_quantized_weights(run: Run, tmp_path: Path) -> None:
    saved(tmp_path, "quantize(nf4, compute=fp32) on linear; lora(r=2) on attn.q")
    refused = run("merge", "base", "out", "-o", "merged")
    assert refused.exit_code == 1
    assert "error[quantized-merge]" in refused.stderr
    rounded = run("merge", "base", "out", "-o", "rounded", "--requantize")
    assert rounded.exit_code == 0, rounded.stderr
    assert "rounding to nf4 lost up to " in rounded.stdout
    both = run("merge", "base", "out", "-o", "merged", "--requantize", "--into", "bf16")
    assert both.exit_code == 2
    exact = run("merge", "base", "out", "-o", "merged", "--into", "fp32")
    assert exact.exit_code == 0, exact.stderr
    assert exact.stdout.count("\n") == 1
