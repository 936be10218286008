import json
from functools import partial
from pathlib import Path

import pytest
import torch

import pefc
from pefc.runtime.files.model_folder import INDEX

from ..models import bert, gpt2, llama, neox
from .folders import Build, assert_same, base, close, loaded, merged, tensors, trained

tied = partial(llama, tied=True)
CASES: tuple[tuple[Build, str], ...] = (
    (llama, "lora(r=2) on linear"),
    (llama, "lora(r=2) on attn.{k,v}; dora(r=2) on attn, ffn; tune on norm"),
    (llama, "lora(r=2) on attn.q; ia3 on attn.{q,k}; ia3(input) on ffn.down; hira(r=2) on attn.o"),
    (llama, "vera(r=2) on attn; lora(r=2) on head; tune on embed"),
    (llama, "lora(r=2) on ffn; tune on ffn.down"),
    (tied, "lora(r=2) on ffn; tune on embed, head"),
    (gpt2, "lora(r=2) on attn.{q,v}; dora(r=2) on ffn"),
    (gpt2, "ssf on linear; lora(r=2) on attn.o; tune bias on ffn"),
    (neox, "lora(r=2) on attn.{q,k}; tune on norm"),
    (bert, "ssf on ffn; lora(r=2) on attn; tune on norm"),
)


def _named(value: object) -> str:
    if isinstance(value, partial):
        return "tied"
    return getattr(value, "__name__", str(value))


@pytest.mark.parametrize(("build", "spec"), CASES, ids=_named)
def test_it_is_what_a_merge_in_memory_saves(build: Build, spec: str, tmp_path: Path) -> None:
    model = trained(build, spec, tmp_path)
    assert len(list((tmp_path / "base").glob("*.safetensors"))) >= 3
    found = loaded(merged(tmp_path), model)
    close(found, model)
    pefc.merge(model).save_pretrained(tmp_path / "expected")  # pyright: ignore[reportCallIssue]
    assert_same(tmp_path / "out", tmp_path / "expected")


def test_the_layout_is_that_of_the_base(tmp_path: Path) -> None:
    trained(llama, "lora(r=2) on attn.q", tmp_path)
    (tmp_path / "base" / "tokenizer.json").write_text("{}")
    (tmp_path / "base" / "pooling").mkdir()
    (tmp_path / "base" / "pooling" / "config.json").write_text('{"mode": "mean"}')
    (tmp_path / "base" / "pytorch_model.bin").write_bytes(b"the weights before the merge")
    (tmp_path / "base" / ".cache").mkdir()
    (tmp_path / "base" / ".cache" / "lock").write_text("")
    before = tensors(tmp_path / "base")
    out = merged(tmp_path)
    files = {path.relative_to(tmp_path / "base") for path in (tmp_path / "base").rglob("*")}
    left_out = {Path("pytorch_model.bin"), Path(".cache"), Path(".cache/lock")}
    assert {path.relative_to(out) for path in out.rglob("*")} == files - left_out
    for name in ("config.json", "generation_config.json", "tokenizer.json", "pooling/config.json"):
        assert (out / name).read_bytes() == (tmp_path / "base" / name).read_bytes()
    index = json.loads((out / INDEX).read_text())
    assert index == json.loads((tmp_path / "base" / INDEX).read_text())
    after = tensors(out)
    changed = {name for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert changed == {f"model.layers.{layer}.self_attn.q_proj.weight" for layer in (0, 1)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "base", "out"]


def test_a_single_file_stays_one_byte_for_byte_beside_what_changes(tmp_path: Path) -> None:
    model = pefc.apply("lora(r=2) on attn.q", base(llama, tmp_path, shard="1GB"))
    pefc.save(model, tmp_path / "adapter")
    out = merged(tmp_path)
    name = "model.safetensors"
    assert (out / name).read_bytes() == (tmp_path / "base" / name).read_bytes()


@pytest.mark.parametrize("into", [torch.bfloat16, torch.float16])
def test_into_another_dtype(into: torch.dtype, tmp_path: Path) -> None:
    model = trained(gpt2, "lora(r=2) on attn.{q,v}; ssf on ffn; tune on norm", tmp_path)
    found = loaded(merged(tmp_path, into=into))
    assert found.dtype == into
    name = str(into).removeprefix("torch.")
    assert json.loads((tmp_path / "out" / "config.json").read_text())["dtype"] == name
    index = json.loads((tmp_path / "out" / INDEX).read_text())
    sizes = [tensor.nbytes for tensor in tensors(tmp_path / "out").values()]
    assert index["metadata"]["total_size"] == sum(sizes)
    short = "bf16" if into == torch.bfloat16 else "fp16"
    pefc.merge(model, into=short).save_pretrained(tmp_path / "expected")  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert_same(tmp_path / "out", tmp_path / "expected")


def test_a_base_in_16_bits(tmp_path: Path) -> None:
    model = trained(lambda: llama().to(torch.bfloat16), "lora(r=2) on linear", tmp_path)  # pyright: ignore[reportArgumentType]
    merged(tmp_path, loss=1.0)
    pefc.merge(model, loss=1.0).save_pretrained(tmp_path / "expected")  # pyright: ignore[reportCallIssue]
    assert_same(tmp_path / "out", tmp_path / "expected")
    assert {tensor.dtype for tensor in tensors(tmp_path / "out").values()} == {torch.bfloat16}


def test_files_of_the_model_without_its_head(tmp_path: Path) -> None:
    """GPT-2 is known on the hub under names that lack `transformer.`."""
    model = trained(gpt2, "lora(r=2) on attn.{q,v}; tune on norm", tmp_path)
    config = (tmp_path / "base" / "config.json").read_text()
    expected = tensors(merged(tmp_path))
    (tmp_path / "out").rename(tmp_path / "with_head")
    whole = loaded(tmp_path / "base")
    whole.transformer.save_pretrained(tmp_path / "base")  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    (tmp_path / "base" / INDEX).unlink()
    (tmp_path / "base" / "config.json").write_text(config)
    found = tensors(merged(tmp_path))
    assert {f"transformer.{name}" for name in found} == set(expected)
    assert all(torch.equal(found[n.removeprefix("transformer.")], expected[n]) for n in expected)
    close(loaded(tmp_path / "out"), model)
