import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import IO

import pytest
import torch
from safetensors.torch import load_file, save_file

import pefc
from pefc.compiler.merge.folder import merge_folder
from pefc.compiler.merge.options import Wish
from pefc.runtime.files import safetensors_shard as files
from pefc.runtime.files.model_folder import INDEX

from ..models import gpt2, llama, neox
from .folders import base, merged, tensors, trained

LORA = "lora(r=2) on attn.q"
KILLED = """
import os, signal, sys
from pathlib import Path
from pefc.compiler.merge import Wish
from pefc.compiler.merge.folder import merge_folder

def sync_and_die(path):
    os.kill(os.getpid(), signal.SIGKILL)

sys.modules[merge_folder.__module__].sync_file = sync_and_die
merge_folder(*map(Path, sys.argv[1:]), Wish())
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """With a base and an adapter; after each failure nothing else is there."""
    trained(llama, LORA, tmp_path)
    yield tmp_path
    assert names(tmp_path) == ["adapter", "base"]


def code(folder: Path) -> str:
    """Of the one mistake that a merge makes."""
    with pytest.raises(pefc.SpecError) as caught:
        merged(folder)
    (found,) = caught.value.diagnostics
    return found.code()


def test_a_killed_run_leaves_no_half_folder(tmp_path: Path) -> None:
    trained(llama, LORA, tmp_path)
    paths = [str(tmp_path / name) for name in ("base", "adapter", "out")]
    command = [sys.executable, "-c", KILLED, *paths]
    result = subprocess.run(command, check=False, cwd=Path(__file__).parents[2])
    assert result.returncode == -signal.SIGKILL
    adapter, before, left = names(tmp_path)
    assert (adapter, before) == ("adapter", "base")
    assert left.startswith("out.unfinished-")
    assert names(tmp_path / left) == ["model-00001-of-00007.safetensors"]
    merged(tmp_path)
    assert names(tmp_path) == ["adapter", "base", "out", left]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_a_run_that_fails_in_the_middle_leaves_nothing(
    folder: Path, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[Path] = []

    def fail(path: Path) -> None:
        written.append(path)
        if len(written) == 3:
            raise error

    monkeypatch.setattr(sys.modules[merge_folder.__module__], "sync_file", fail)
    with pytest.raises((KeyboardInterrupt, pefc.SpecError)) as caught:
        merged(folder)
    if isinstance(caught.value, pefc.SpecError):
        (found,) = caught.value.diagnostics
        assert "no space left on device" in str(found.labels())
    assert len(written) == 3


@pytest.mark.parametrize("bytes", [4, 40, 1000, -1])
def test_a_shard_that_is_cut_short(folder: Path, bytes: int) -> None:
    path = folder / "base" / "model-00003-of-00007.safetensors"
    path.write_bytes(path.read_bytes()[:bytes])
    assert code(folder) == "damaged-checkpoint"


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"weight_map": 3}', '{"weight_map": {"a": 3}}', '{"weight_map": {"a": "../b"}}'],
)
def test_an_index_that_is_none(folder: Path, text: str) -> None:
    (folder / "base" / INDEX).write_text(text)
    assert code(folder) == "damaged-checkpoint"


def test_a_shard_that_is_not_there(folder: Path) -> None:
    (folder / "base" / "model-00003-of-00007.safetensors").unlink()
    assert code(folder) == "damaged-checkpoint"


def test_a_config_of_other_sizes(folder: Path) -> None:
    path = folder / "base" / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "intermediate_size": 48}))
    assert code(folder) == "damaged-checkpoint"


def test_another_base(folder: Path) -> None:
    path = folder / "base" / "model-00003-of-00007.safetensors"
    changed = {name: tensor * 2 for name, tensor in load_file(path).items()}
    save_file(changed, path, metadata={"format": "pt"})
    assert code(folder) == "other-base"


def test_tensors_that_do_not_fit(folder: Path) -> None:
    other = llama(layers=3)
    pefc.save(pefc.apply(LORA, other), folder / "adapter")
    assert code(folder) == "other-base"


def test_values_that_are_not_finite(folder: Path) -> None:
    model = pefc.load(llama(), folder / "adapter")
    with torch.no_grad():
        model.get_parameter("model.layers.1.self_attn.q_proj.lora.B").fill_(float("nan"))
    with pytest.warns(pefc.SpecWarning, match="not-finite-adapter"):
        pefc.save(model, folder / "adapter")
    assert code(folder) == "not-finite"


def test_what_is_stored_under_another_name_stays_as_it_is(tmp_path: Path) -> None:
    """The head of GPT-NeoX is called otherwise in files; nothing changes it here."""
    trained(neox, "lora(r=2) on attn.q", tmp_path)
    before = tensors(tmp_path / "base")
    assert torch.equal(tensors(merged(tmp_path))["embed_out.weight"], before["embed_out.weight"])


def test_a_tied_parameter_that_is_stored_twice_changes_twice(tmp_path: Path) -> None:
    model = trained(gpt2, "tune on embed, head", tmp_path)
    path = next(p for p in (tmp_path / "base").glob("*") if "transformer.wte.weight" in _keys(p))
    stored = load_file(path)
    save_file({**stored, "lm_head.weight": stored["transformer.wte.weight"].clone()}, path)
    index = json.loads((tmp_path / "base" / INDEX).read_text())
    index["weight_map"]["lm_head.weight"] = path.name
    (tmp_path / "base" / INDEX).write_text(json.dumps(index))
    found = tensors(merged(tmp_path))
    tuned = model.get_parameter("transformer.wte.weight")
    assert torch.equal(found["lm_head.weight"], tuned)
    assert torch.equal(found["transformer.wte.weight"], tuned)


def _keys(path: Path) -> set[str]:
    return set(load_file(path)) if path.suffix == ".safetensors" else set()


@pytest.mark.parametrize("inside", ["base/out", "base/deep/out", "adapter/out", "link/out"])
def test_no_folder_is_written_into_what_it_is_made_from(folder: Path, inside: str) -> None:
    (folder / "base" / "deep").mkdir()
    (folder / "link").symlink_to(folder / "base")
    with pytest.raises(pefc.SpecError) as caught:
        merge_folder(folder / "base", folder / "adapter", folder / inside, Wish())
    assert [d.code() for d in caught.value.diagnostics] == ["output-inside"]
    (folder / "link").unlink()


@pytest.mark.parametrize("name", ["base", "adapter"])
def test_no_folder_is_overwritten(folder: Path, name: str) -> None:
    with pytest.raises(pefc.SpecError) as caught:
        merge_folder(folder / "base", folder / "adapter", folder / name, Wish())
    assert [d.code() for d in caught.value.diagnostics] == ["output-exists"]


def test_a_disk_that_is_full(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some bytes of a shard are written, and then no more."""
    written = 0

    def part(file: IO[bytes], new: files.New) -> int:
        nonlocal written
        for part in new.parts():
            written += file.write(bytes(part) if isinstance(part, bytes) else b"0" * part.nbytes)
            if written > 4000:
                raise OSError(28, "No space left on device")
        return new.size

    monkeypatch.setattr(files, "_write_parts", part)
    assert code(folder) == "unwritable-file"
    assert written > 4000


@pytest.mark.parametrize("resume", [True, False])
def test_ranks_that_are_still_to_be_allocated(tmp_path: Path, resume: bool) -> None:
    """As in memory; an adapter that is saved without its allocator has said so then."""
    spec = "adalora(r=3, target=1, steps=100) on attn.q"
    model = pefc.apply(spec, base(llama, tmp_path))
    with nullcontext() if resume else pytest.warns(pefc.SpecWarning, match="is saved before"):
        pefc.save(model, tmp_path / "adapter", resume=resume)
    written = merge_folder(tmp_path / "base", tmp_path / "adapter", tmp_path / "out", Wish())
    titles = [warning.title() for warning in written.warnings]
    assert titles == ["`adalora` is merged before its ranks are allocated"] * resume
    with pytest.warns(pefc.SpecWarning, match="is merged before its ranks are allocated"):
        pefc.merge(model)


def test_a_quantized_base_is_refused(tmp_path: Path) -> None:
    trained(llama, LORA, tmp_path)
    path = tmp_path / "base" / "config.json"
    quantization = {"quant_method": "gptq", "bits": 4}
    path.write_text(
        json.dumps({**json.loads(path.read_text()), "quantization_config": quantization})
    )
    assert code(tmp_path) == "quantized-checkpoint"
