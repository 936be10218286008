"""What is saved loads as it was, into the right base, or not at all."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

import pefc
from pefc.runtime.files import adapter_folder as folders

from ..models import BUILDERS, gpt2, llama, output, perturb, plain
from .snapshots import Snapshot

SPECS = (
    "lora(r=2) on linear",
    "dora(r=2) on attn.{q,v}; vera(r=2) on ffn; ia3 on attn.k; tune on ffn.down",
)
TUNED = "lora(r=2) on attn.q; tune on norm; tune on embed"


def trained(spec: str, model: nn.Module, *, seed: int = 7) -> nn.Module:
    pefc.apply(spec, model)
    perturb(model, seed=seed)
    return model


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("build", BUILDERS, ids=lambda build: build.__name__)
def test_what_is_saved_loads(build: Callable[[], nn.Module], spec: str, tmp_path: Path) -> None:
    model = trained(spec, build())
    pefc.save(model, tmp_path / "out")
    fresh = build()
    assert pefc.load(fresh, tmp_path / "out") is fresh
    assert torch.equal(output(fresh), output(model))
    expected = {**model.state_dict()}
    assert list(fresh.state_dict()) == list(expected)
    assert all(torch.equal(value, expected[name]) for name, value in fresh.state_dict().items())
    flags = [(name, p.requires_grad) for name, p in model.named_parameters()]
    assert [(name, p.requires_grad) for name, p in fresh.named_parameters()] == flags
    pefc.save(fresh, tmp_path / "again")
    for name in ("spec.peft", "adapter.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_only_the_adapter_is_saved(tmp_path: Path) -> None:
    model = trained(TUNED, llama())
    pefc.save(model, tmp_path)
    saved = load_file(tmp_path / "adapter.safetensors")
    base = set(llama().state_dict())
    tuned = {name for name, p in model.named_parameters() if p.requires_grad and name in base}
    assert {"model.norm.weight", "model.embed_tokens.weight"} <= tuned
    assert saved.keys() == (set(model.state_dict()) - base) | tuned
    assert {path.name for path in tmp_path.iterdir()} == {
        "spec.peft",
        "plan.json",
        "adapter.safetensors",
    }


def test_a_tuned_head_that_is_tied_to_the_embedding_trains_and_loads(tmp_path: Path) -> None:
    with pytest.raises(pefc.SpecError, match="tied-tune"):
        pefc.apply("tune on head", llama(tied=True))
    model = pefc.apply("tune on head, embed", llama(tied=True))
    assert model.lm_head.weight.requires_grad
    perturb(model)
    pefc.save(model, tmp_path)
    fresh = pefc.load(llama(tied=True), tmp_path)
    assert torch.equal(output(fresh), output(model))
    assert fresh.lm_head.weight is fresh.model.embed_tokens.weight


OWN = """
param rank = 2
import "own.peft"
recipe both(r: int = 1) {
  bent(r=r) on attn.q
  lora(r=r) on ffn as wide
}
both(r=rank)
"""
BENT = """
method bent(r: int) on linear {
  A: [r, in] ~ normal(0, 1)
  B: [out, r] = 0
  output += relu(x @ A.T) @ B.T
}
"""


def test_a_users_methods_and_recipes_need_no_other_file_to_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "own.peft").write_text(BENT)
    (project / "train.peft").write_text(OWN)
    spec = pefc.read(project / "train.peft")
    model = pefc.apply(spec, llama(), params={"rank": 3})
    perturb(model)
    pefc.save(model, tmp_path / "out")
    for path in project.iterdir():
        path.unlink()
    monkeypatch.chdir(project)
    fresh = pefc.load(llama(), tmp_path / "out")
    assert torch.equal(output(fresh), output(model))
    assert fresh.model.layers[0].mlp.up_proj.wide.A.shape[0] == 3


def assert_refused(folder: Path, code: str, model: nn.Module | None = None) -> None:
    model = llama() if model is None else model
    before = Snapshot.of(model)
    with pytest.raises(pefc.SpecError) as caught:
        pefc.load(model, folder)
    assert {diagnostic.code() for diagnostic in caught.value.diagnostics} == {code}
    before.assert_same(model)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    pefc.save(trained("lora(r=2) on attn.{q,v}; tune on norm", llama()), tmp_path)
    return tmp_path


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Replace a file so that its manifest names it."""
    manifest = json.loads((folder / "plan.json").read_text())
    manifest["files"][name] = folders._digest(content)
    (folder / name).write_bytes(content)
    (folder / "plan.json").write_text(json.dumps(manifest))


def with_tensors(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(folder / "adapter.safetensors")
    change(tensors)
    save_file(tensors, folder / "changed")
    rewrite(folder, "adapter.safetensors", (folder / "changed").read_bytes())


A = "model.layers.0.self_attn.q_proj.lora.A"


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop(A),
        lambda tensors: tensors.update(more=torch.zeros(1)),
        lambda tensors: tensors.update({A: torch.zeros(3, 24)}),
        lambda tensors: tensors.update({A: torch.zeros(24, 2)}),
    ],
    ids=["missing", "extra", "another rank", "turned round"],
)
def test_other_tensors_are_refused(saved: Path, change: Callable[..., object]) -> None:
    with_tensors(saved, change)
    assert_refused(saved, "other-sites")


def test_another_base_is_refused(saved: Path) -> None:
    model = llama()
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight.mul_(1.1)
    assert_refused(saved, "other-base", model)


def test_a_base_with_fewer_layers_is_refused(saved: Path) -> None:
    assert_refused(saved, "other-base", llama(layers=1))
    assert_refused(saved, "other-base", llama(layers=3))


def test_another_architecture_is_refused(saved: Path) -> None:
    assert_refused(saved, "other-base", gpt2())


def test_a_base_in_another_dtype_is_the_same_base(saved: Path) -> None:
    expected = output(pefc.load(llama(), saved))
    found = output(pefc.load(llama().to(torch.bfloat16), saved))
    assert found.dtype == torch.bfloat16
    assert (found - expected).abs().max() <= 0.1 * expected.abs().max()
    pefc.load(llama().double(), saved)


@pytest.mark.parametrize("name", ["spec.peft", "adapter.safetensors"])
def test_an_edited_or_cut_file_is_refused(saved: Path, name: str) -> None:
    content = (saved / name).read_bytes()
    for damaged in (content[:-1], content + b" ", b"", content.replace(b"2", b"3")):
        (saved / name).write_bytes(damaged)
        assert_refused(saved, "damaged-adapter")
    (saved / name).unlink()
    assert_refused(saved, "damaged-adapter")


def test_bytes_that_are_no_tensors_or_text_are_refused(saved: Path) -> None:
    rewrite(saved, "adapter.safetensors", b"\xff" * 64)
    assert_refused(saved, "damaged-adapter")
    rewrite(saved, "spec.peft", b"\xff\xfe")
    assert_refused(saved, "damaged-adapter")


def test_a_folder_without_an_adapter_is_refused(tmp_path: Path) -> None:
    assert_refused(tmp_path, "no-adapter")
    assert_refused(tmp_path / "nowhere", "no-adapter")


def test_another_format_is_refused(saved: Path) -> None:
    manifest = json.loads((saved / "plan.json").read_text())
    (saved / "plan.json").write_text(json.dumps({**manifest, "format": 2}))
    assert_refused(saved, "other-format")


MANIFESTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(key=st.sampled_from(["files", "base", "methods", "format", None]), value=MANIFESTS)
@settings(max_examples=40)
def test_a_manifest_of_another_form_is_a_diagnostic(
    key: str | None, value: object, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("adapter")
    pefc.save(_PLAIN, folder)
    manifest = json.loads((folder / "plan.json").read_text())
    changed = value if key is None else {**manifest, key: value}
    (folder / "plan.json").write_text(json.dumps(changed))
    model = plain()
    try:
        pefc.load(model, folder)
    except pefc.SpecError:
        assert "_pefc" not in model.__dict__
    else:
        assert changed == manifest


_PLAIN = trained("lora(r=2) on attn.q", plain())


def test_a_method_that_is_defined_otherwise_now_is_refused(
    saved: Path,
) -> None:
    manifest = json.loads((saved / "plan.json").read_text())
    manifest["methods"]["lora"] = "0" * 16
    (saved / "plan.json").write_text(json.dumps(manifest))
    assert_refused(saved, "other-method")


def test_other_files_of_the_folder_stay(saved: Path) -> None:
    (saved / "notes.txt").write_text("mine")
    (saved / "config.json").write_text("{}")
    pefc.save(trained("ia3 on ffn", llama()), saved)
    assert (saved / "notes.txt").read_text() == "mine"
    assert (saved / "config.json").read_text() == "{}"
    assert pefc.load(llama(), saved)


def test_nothing_is_saved_of_a_bare_model_or_of_one_without_values(tmp_path: Path) -> None:
    with pytest.raises(pefc.SpecError, match="nothing-attached"):
        pefc.save(llama(), tmp_path)
    model = pefc.apply("lora(r=2) on attn.q", llama().to("meta"))
    with pytest.raises(pefc.SpecError, match="no-values"):
        pefc.save(model, tmp_path)
    with pytest.raises(pefc.SpecError, match="no-values"):
        pefc.merge(model)
    assert not list(tmp_path.iterdir())


class Crash(BaseException):
    """The machine stops."""


def crashing(patch: pytest.MonkeyPatch, at: int, calls: list[str]) -> None:
    """Stop before the n-th write, rename or flush."""
    for name in ("replace", "fsync"):
        function = getattr(os, name)

        def stop(
            *args: object, function: Callable[..., object] = function, name: str = name
        ) -> object:
            calls.append(name)
            if len(calls) - 1 >= at:
                raise Crash
            return function(*args) if name == "replace" else None

        patch.setattr(os, name, stop)


def _no_check(file: object) -> None:
    """Whatever it holds may be read."""


def test_a_crash_at_any_step_leaves_the_old_adapter_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [{"a": f"a{n}".encode(), "b": f"b{n}".encode()} for n in range(3)]
    steps: list[str] = []
    with monkeypatch.context() as patch:
        crashing(patch, 10**6, steps)
        folders.write_folder(tmp_path / "whole", files[0], {"n": 0})
    count = len(steps)
    for first in range(count + 1):
        for second in range(count + 4):
            folder = tmp_path / f"{first}-{second}"
            folders.write_folder(folder, files[0], {"n": 0})
            known = 0
            for number, at in ((1, first), (2, second)):
                with monkeypatch.context() as patch:
                    crashing(patch, at, [])
                    try:
                        folders.write_folder(folder, files[number], {"n": number})
                    except Crash:
                        pass
                    else:
                        known = number
                found, manifest = folders.read_folder(folder, {"a": _no_check, "b": _no_check})
                assert manifest["n"] in {known, number}
                held = {name: bytes(folders.contents(file)) for name, file in found.items()}
                assert held == files[manifest["n"]]
                known = manifest["n"]


def test_a_crash_while_saving_leaves_an_adapter_that_loads(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = output(pefc.load(llama(), saved))
    model = trained("dora(r=2) on ffn", llama())
    new = output(model)
    seen = set()
    for at in range(12):
        with monkeypatch.context() as patch:
            crashing(patch, at, [])
            with suppress(Crash):
                pefc.save(model, saved)
        found = output(pefc.load(llama(), saved))
        assert torch.equal(found, old) or torch.equal(found, new)
        seen.add(torch.equal(found, new))
    assert seen == {False, True}
