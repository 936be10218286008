"""A base is known by all of its numbers: one that has changed is seen, and hashing is done once."""

import json
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from typer.testing import CliRunner

import pefc
from pefc.cli.app import app
from pefc.runtime.files import hashing
from pefc.runtime.files.fingerprint import fingerprint, tensor_facts

from ..models import BUILDERS, llama, output, perturb


def trained(spec: str, model: nn.Module) -> nn.Module:
    pefc.apply(spec, model)
    perturb(model)
    return model


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    pefc.save(trained("lora(r=2) on attn.{q,v}", llama()), tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_one_changed_entry_of_any_weight_is_seen(build: Callable[[], nn.Module]) -> None:
    model = build()
    before = fingerprint(model, ())
    for name, parameter in model.named_parameters():
        with torch.no_grad():
            flat = parameter.view(-1)
            flat[min(3, len(flat) - 1)] += 1e-6
        after = fingerprint(model, ())
        assert [n for n in before if before[n].hash != after[n].hash] == [name]
        before = after


def test_one_changed_weight_is_refused(saved: Path) -> None:
    model = llama()
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[2, 3] += 1e-3
    with pytest.raises(pefc.SpecError, match="other-base") as caught:
        pefc.load(model, saved)
    (found,) = caught.value.diagnostics
    assert [name for name, _ in found.differences] == ["model.layers.1.mlp.up_proj.weight"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_equal_numbers_have_one_hash_however_they_lie(dtype: torch.dtype) -> None:
    value = torch.randn(37, 21).to(dtype)
    turned = value.T.contiguous().T
    padded = torch.zeros(37, 50, dtype=dtype)[:, 5:26].copy_(value)
    expanded = value[:1].expand(37, 21)
    known = {tensor_facts(each, hashed=True).hash for each in (value, turned, padded, value[:])}
    assert len(known) == 1
    whole = tensor_facts(expanded.contiguous(), hashed=True).hash
    assert tensor_facts(expanded, hashed=True).hash == whole
    assert whole not in known


def test_parts_of_any_length_have_the_hash_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    value = torch.randn(3, 5, 7).transpose(0, 2)
    expected = hashing.hash_of_parts([value.contiguous().numpy().tobytes()])
    for part in (1, 2, 6, 15, 16, 1000):
        monkeypatch.setattr(hashing, "_PART", part)
        assert hashing.hash_of_parts(hashing._parts(value)) == expected
    assert hashing.hash_of_parts(hashing._parts(torch.tensor(1.5))) == hashing.hash_of_parts(
        [torch.tensor(1.5).numpy().tobytes()]
    )


def test_what_has_no_numbers_or_is_not_written_to_is_hashed_too() -> None:
    assert tensor_facts(torch.empty(2, 3, device="meta"), hashed=True).hash is None
    with torch.inference_mode():
        value = torch.ones(2, 3)
    assert tensor_facts(value, hashed=True).hash == tensor_facts(torch.ones(2, 3), hashed=True).hash


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The tensors that were hashed, by their sizes."""
    counted: list[int] = []
    parts = hashing._parts

    def counting(tensor: Tensor) -> Iterator[memoryview]:
        counted.append(tensor.numel())
        return parts(tensor)

    monkeypatch.setattr(hashing, "_parts", counting)
    return counted


def test_a_base_is_hashed_once(tmp_path: Path, hashed: list[int]) -> None:
    base = llama()
    weights = len(list(base.parameters()))
    model = trained("lora(r=2) on attn.{q,v}", base)
    pefc.save(model, tmp_path / "first")
    assert len(hashed) == weights
    perturb(model)
    pefc.save(model, tmp_path / "second")
    assert len(hashed) == weights
    with torch.no_grad():
        model.model.norm.weight[0] += 1
    pefc.save(model, tmp_path / "third")
    assert len(hashed) == weights + 1
    model.model.norm.weight.data.mul_(2)
    pefc.save(model, tmp_path / "fourth")
    assert len(hashed) == weights + 2
    bases = [
        json.loads((tmp_path / name / "plan.json").read_text())["base"]
        for name in ("first", "second", "third", "fourth")
    ]
    assert bases[0] == bases[1] != bases[2] != bases[3]


def test_a_base_whose_samples_are_other_ones_is_not_hashed(saved: Path, hashed: list[int]) -> None:
    with pytest.raises(pefc.SpecError, match="other-base"):
        pefc.load(perturbed(llama()), saved)
    assert not hashed


def perturbed(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        model.model.layers[0].mlp.up_proj.weight.mul_(1.5)
    return model


def test_folders_of_earlier_versions_load(saved: Path) -> None:
    manifest = json.loads((saved / "plan.json").read_text())
    for facts in manifest["base"].values():
        assert facts.pop("dtype") == "float32"
        assert len(facts.pop("hash")) == 32
    (saved / "plan.json").write_text(json.dumps(manifest))
    model = llama()
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[2, 3] += 1e-3
    pefc.load(model, saved)


def test_a_base_in_another_dtype_is_known_by_its_samples(saved: Path) -> None:
    for dtype in (torch.bfloat16, torch.float64):
        model = llama().to(dtype)
        assert pefc.load(model, saved) is model


def test_whoever_means_another_base_is_told_how_far_it_is(saved: Path) -> None:
    model = perturbed(llama())
    with pytest.warns(pefc.SpecWarning, match=r"(?s)on-other-base.* 1 of \d+ weights .* 50%"):
        assert pefc.load(model, saved, other_base=True) is model
    expected = output(trained("lora(r=2) on attn.{q,v}", perturbed(llama())))
    assert torch.equal(output(model), expected)
    with pytest.warns(pefc.SpecWarning, match="on-other-base"):
        pefc.load(model, saved, task="again", other_base=True)
    with pytest.raises(pefc.SpecError, match="other-sites"):
        pefc.load(llama(layers=1), saved, other_base=True)
    with pytest.raises(TypeError, match="other_base"):
        pefc.load(llama(), saved, other_base="yes")


def test_the_right_base_warns_of_nothing(saved: Path) -> None:
    model = llama()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        pefc.load(model, saved, other_base=True)
    assert told == []
    expected = output(trained("lora(r=2) on attn.{q,v}", llama()))
    assert torch.equal(output(model), expected)


def test_a_folder_is_hashed_as_a_model_is(saved: Path, tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "base")
    command = ["merge", str(tmp_path / "base"), str(saved), "-o"]
    assert CliRunner().invoke(app, [*command, str(tmp_path / "merged")]).exit_code == 0
    weights = tmp_path / "base" / "model.safetensors"
    tensors = load_file(weights)
    tensors["model.layers.1.mlp.up_proj.weight"][2, 3] += 1e-3
    save_file(tensors, weights, metadata={"format": "pt"})
    refused = CliRunner().invoke(app, [*command, str(tmp_path / "more")])
    assert refused.exit_code == 1
    assert "other-base" in refused.stderr
    assert not (tmp_path / "more").exists()
    done = CliRunner().invoke(app, [*command, str(tmp_path / "more"), "--other-base"])
    assert done.exit_code == 0
    assert "warning[on-other-base]" in done.stderr
