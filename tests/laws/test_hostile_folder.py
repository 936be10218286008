"""An adapter folder that somebody else made is loaded, or refused with a diagnostic."""

import copy
import json
import multiprocessing
import os
import re
from collections.abc import Callable, Iterator
from functools import reduce
from multiprocessing.synchronize import Event
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import pefc
from pefc.compiler.state.manifest import validated
from pefc.compiler.state.read import read
from pefc.runtime.files import adapter_folder as folder
from pefc.runtime.files.adapter_folder import contents, read_folder, write_folder

from ..models import llama, output, perturb, plain

TENSORS = "adapter.safetensors"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    model = pefc.apply("lora(r=2) on a; tune on norm?; tune on e", plain())
    perturb(model)
    pefc.save(model, tmp_path / "out")
    return tmp_path / "out"


def rewrite(saved: Path, name: str, content: bytes) -> None:
    """Replace a file so that its manifest names it."""
    manifest = json.loads((saved / "plan.json").read_text())
    manifest["files"][name] = folder._digest(content)
    (saved / name).write_bytes(content)
    (saved / "plan.json").write_text(json.dumps(manifest))


def with_tensors(saved: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    tensors = load_file(saved / TENSORS)
    change(tensors)
    save_file(tensors, saved / "changed")
    rewrite(saved, TENSORS, (saved / "changed").read_bytes())


def refusal(saved: Path) -> str:
    """The reason why a folder is not loaded; the model stays as it was."""
    model = plain()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(pefc.SpecError) as caught:
        pefc.load(model, saved)
    assert "_pefc" not in model.__dict__
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    found = caught.value.diagnostics[0]
    assert found.code() == "damaged-adapter"
    return found.labels()[0].text


VALUES = (None, True, False, -1, 2**70, 1.5, float("nan"), "", "x", [], {}, [[]], [None], {"": 0})


def places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    """The paths of everything inside of a JSON value; of long lists, of their beginning."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value[:2]):
            yield from places(inner, (*path, number))


def mutated(manifest: dict[str, Any], path: tuple[Any, ...], value: object) -> object:
    if not path:
        return value
    result = copy.deepcopy(manifest)
    inner = reduce(getitem, path[:-1], result)
    inner[path[-1]] = value
    return result


def test_every_field_of_a_manifest_is_checked(saved: Path) -> None:
    """Each field is replaced by values of other types; each is left out."""
    manifest = json.loads((saved / "plan.json").read_text())
    manifest["buffers"] = []
    expected = validated(manifest)
    model, tried, loaded = plain(), 0, 0
    for path in list(places(manifest)):
        for value in VALUES:
            (saved / "plan.json").write_text(json.dumps(mutated(manifest, path, value)))
            tried += 1
            try:
                if read(saved).manifest == expected:
                    continue
                loaded += 1
                pefc.load(model, saved)
            except pefc.SpecError as error:
                codes = {found.code() for found in error.diagnostics}
                assert codes <= {"damaged-adapter", "other-format", "other-method", "other-base"}
                assert "_pefc" not in model.__dict__
            else:
                pefc.remove(model)
    assert tried > 1000
    assert loaded


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("base", "a.weight", "shape"), [24, -1], r"a size is negative - at `\$\.base\["),
        (("base", "a.weight", "samples"), [0.5], r"more or fewer samples"),
        (
            ("plan", "attachments", 0, "statement"),
            -1,
            r"at `\$\.plan\.attachments\[0\]\.statement`",
        ),
        (("plan", "trainable"), True, r"Expected `int`, got `bool` - at `\$\.plan\.trainable`"),
        (("methods",), None, r"`\$\.methods`"),
        (("files",), [], "it has no `files`"),
        (("files", "../x"), "0" * 64, "outside of the folder"),
        (("files", "a\0"), "0" * 64, "outside of the folder"),
        (("buffers",), ["e.weight", "nothing"], "`buffers` names `nothing`"),
    ],
)
def test_what_is_wrong_in_a_manifest_is_named(
    saved: Path, path: tuple[object, ...], value: object, said: str
) -> None:
    manifest = json.loads((saved / "plan.json").read_text())
    (saved / "plan.json").write_text(json.dumps(mutated(manifest, path, value)))
    assert re.search(said, refusal(saved))


def test_a_buffer_that_the_base_has_not_is_refused(saved: Path) -> None:
    manifest = json.loads((saved / "plan.json").read_text())
    manifest["buffers"] = ["a.lora.A"]
    (saved / "plan.json").write_text(json.dumps(manifest))
    model = plain()
    with pytest.raises(pefc.SpecError):
        pefc.load(model, saved)
    assert "_pefc" not in model.__dict__


@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.int64, torch.uint8, torch.complex64, torch.float8_e4m3fn],
    ids=str,
)
def test_numbers_of_another_kind_are_refused(saved: Path, dtype: torch.dtype) -> None:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors["a.lora.A"] = torch.zeros(2, 24).to(dtype)

    with_tensors(saved, change)
    assert "a.lora.A" in refusal(saved)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["a.lora.B", "e.weight"])
def test_numbers_that_are_not_finite_are_told(saved: Path, value: float, name: str) -> None:
    with_tensors(saved, lambda tensors: tensors[name].view(-1)[1].fill_(value))
    with pytest.warns(pefc.SpecWarning, match=f"(?s)not-finite-adapter.*{name}"):
        model = pefc.load(plain(), saved)
    assert not model.state_dict()[name].isfinite().all()
    with pytest.warns(pefc.SpecWarning, match=f"(?s)not-finite-adapter.*{name}"):
        pefc.save(model, saved)


def test_positions_outside_of_their_matrix_are_refused(tmp_path: Path) -> None:
    pefc.save(pefc.apply("fourierft(n=3) on a", plain()), tmp_path)
    indices = [n for n, t in load_file(tmp_path / TENSORS).items() if not t.is_floating_point()]
    for value in (-1, 24 * 24, 2**31 - 1):
        with_tensors(tmp_path, lambda tensors, v=value: tensors[indices[0]].view(-1)[0].fill_(v))
        assert "positions outside of its matrix" in refusal(tmp_path)


def sparse(path: Path, size: int, header: bytes = b"") -> None:
    """A file of a size of which nothing but its beginning is on the disk."""
    with path.open("wb") as file:
        file.write(header)
        file.truncate(size)


HUGE = 1 << 40


def test_no_huge_file_is_read(saved: Path) -> None:
    start = 4 * 64 * 24
    tuned = {"dtype": "F32", "shape": [64, 24], "data_offsets": [0, start]}
    huge = {"dtype": "U8", "shape": [HUGE], "data_offsets": [start, start + HUGE]}
    header = json.dumps({"e.weight": tuned, "huge": huge}).encode()
    good = (saved / TENSORS).read_bytes()
    sparse(saved / TENSORS, HUGE)
    assert refusal(saved)
    sparse(saved / TENSORS, HUGE, good)
    assert refusal(saved) == "it is cut short, or too long for its header"
    sparse(
        saved / TENSORS, 8 + len(header) + start + HUGE, len(header).to_bytes(8, "little") + header
    )
    model = plain()
    with pytest.raises(pefc.SpecError, match="other-sites"):
        pefc.load(model, saved)
    (saved / TENSORS).write_bytes(good)
    text = (saved / "spec.peft").read_bytes()
    sparse(saved / "spec.peft", HUGE)
    assert "bytes" in refusal(saved)
    (saved / "spec.peft").write_bytes(text)
    sparse(saved / "plan.json", HUGE)
    assert "bytes" in refusal(saved)


def test_a_pipe_is_not_read(saved: Path) -> None:
    (saved / "spec.peft").unlink()
    os.mkfifo(saved / "spec.peft")
    assert refusal(saved) == "it is no regular file"


def test_a_planted_link_is_not_followed(saved: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in ("spec.peft", TENSORS, "plan.json"):
        (saved / f"{name}.new").symlink_to(victim)
    pefc.load(model := plain(), saved)
    pefc.save(model, saved)
    assert victim.read_text() == "mine"
    assert not any(path.is_symlink() for path in saved.iterdir())
    (saved / f"{TENSORS}.new").symlink_to(victim)
    folder.replace_file(saved / TENSORS, lambda path: path.write_bytes(b"fresh"))
    assert victim.read_text() == "mine"
    assert (saved / TENSORS).read_bytes() == b"fresh"


def test_links_that_lead_to_the_files_are_followed(saved: Path, tmp_path: Path) -> None:
    """As the cache of the hub has them, and a link to the folder."""
    (tmp_path / "snapshot").mkdir()
    for path in saved.iterdir():
        (tmp_path / "snapshot" / path.name).symlink_to(path)
    (tmp_path / "link").symlink_to(tmp_path / "snapshot")
    expected = output(pefc.load(plain(), saved))
    assert torch.equal(output(pefc.load(plain(), tmp_path / "link")), expected)


def _writes(place: Path, stop: Event) -> None:
    number = 0
    while not stop.is_set():
        number += 1
        content = str(number).encode()
        write_folder(place, {"a": content * 50, "b": content * 5000}, {"n": number})


def test_readers_beside_a_writer_see_one_state(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": b"0" * 50, "b": b"0" * 5000}, {"n": 0})
    context = multiprocessing.get_context("fork")
    stop = context.Event()
    writer = context.Process(target=_writes, args=(tmp_path, stop))
    writer.start()
    seen: set[object] = set()
    reads = 0
    try:
        while reads < 1000 or len(seen) <= 10:
            reads += 1
            files, manifest = read_folder(tmp_path, {"a": lambda _: None, "b": lambda _: None})
            expected = str(manifest["n"]).encode()
            assert contents(files["a"]) == expected * 50
            assert contents(files["b"]) == expected * 5000
            seen.add(manifest["n"])
    finally:
        stop.set()
        writer.join()


def test_a_loaded_model_of_a_folder_that_changes_is_of_one_state(tmp_path: Path) -> None:
    """What is read later belongs to what was read first."""
    pefc.save(pefc.apply("lora(r=2) on attn.q", llama()), tmp_path)
    before = read(tmp_path)
    tensors = load_file(tmp_path / TENSORS)
    pefc.save(pefc.apply("lora(r=3) on attn.q", llama()), tmp_path)
    assert {name: value.shape for name, value in before.tensors.items()} == {
        name: value.shape for name, value in tensors.items()
    }
