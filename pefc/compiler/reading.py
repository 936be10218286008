"""Reading an adapter folder, without trusting it and without a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from ..dsl.checked import Checked
from ..dsl.checker import check
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.state import DamagedAdapter, NoAdapter, OtherFormat, OtherMethod
from ..dsl.parser import parse
from ..dsl.source import Source
from ..runtime.state import (
    MANIFEST,
    DamagedFileError,
    Fingerprint,
    NoFolderError,
    read_folder,
)
from .lengths import with_lengths
from .saving import FORMAT, SPEC, TENSORS, method_digests


@dataclass(frozen=True, slots=True)
class Saved:
    """What a folder holds."""

    folder: Path
    checked: Checked
    tensors: Mapping[str, torch.Tensor]
    base: Fingerprint
    """Of the model that it was made for."""
    buffers: tuple[str, ...]
    """The tensors that are buffers of the base, which training has changed."""
    plan: object
    """The JSON of its plan; loading makes its own."""

    @property
    def base_buffers(self) -> dict[str, torch.Tensor]:
        return {name: self.tensors[name] for name in self.buffers}


def read(folder: Path) -> Saved:
    """The adapter of a folder.

    Raises SpecError where the folder is damaged, or means something else to this version of pefc.
    """
    files, manifest = _files(folder)
    checked = check(parse(_spec(files, folder)))
    _same_methods(checked, manifest, folder)
    base: Fingerprint = manifest["base"]  # pyright: ignore[reportAssignmentType]
    plan = manifest.get("plan")
    shorter = with_lengths(checked, plan, folder / MANIFEST)
    buffers: list[str] = manifest.get("buffers", [])  # pyright: ignore[reportAssignmentType]
    return Saved(folder, shorter, _read_tensors(files, folder), base, tuple(buffers), plan)


def _files(folder: Path) -> tuple[Mapping[str, bytes], Mapping[str, object]]:
    try:
        files, manifest = read_folder(folder)
    except NoFolderError:
        raise SpecError([NoAdapter(str(folder), MANIFEST)]) from None
    except DamagedFileError as error:
        raise SpecError([DamagedAdapter(str(error.path), error.reason)]) from error
    if manifest.get("format") != FORMAT:
        raise SpecError([OtherFormat(str(folder), str(manifest.get("format")), FORMAT)])
    if not _is_manifest(manifest) or not files.keys() >= {SPEC, TENSORS}:
        raise SpecError([DamagedAdapter(str(folder / MANIFEST), "it lacks what pefc writes there")])
    return files, manifest


def _is_manifest(manifest: Mapping[str, object]) -> bool:
    """Whether the entries that loading reads have the form in which they are written."""
    base, methods = manifest.get("base"), manifest.get("methods")
    buffers = manifest.get("buffers", [])
    if not (isinstance(base, dict) and isinstance(methods, dict) and isinstance(buffers, list)):
        return False
    return all(isinstance(name, str) for name in buffers) and all(
        isinstance(facts, dict) and facts.keys() >= {"shape", "samples"} for facts in base.values()
    )


def _spec(files: Mapping[str, bytes], folder: Path) -> Source:
    try:
        return Source(str(folder / SPEC), files[SPEC].decode())
    except UnicodeDecodeError as error:
        raise SpecError([DamagedAdapter(str(folder / SPEC), "it is not UTF-8")]) from error


def _read_tensors(files: Mapping[str, bytes], folder: Path) -> dict[str, torch.Tensor]:
    try:
        return load_tensors(files[TENSORS])
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise SpecError([DamagedAdapter(str(folder / TENSORS), str(error))]) from error


def _same_methods(checked: Checked, manifest: Mapping[str, object], folder: Path) -> None:
    saved: Mapping[str, str] = manifest["methods"]  # pyright: ignore[reportAssignmentType]
    changed = [
        name for name, digest in method_digests(checked).items() if saved.get(name) != digest
    ]
    if changed:
        raise SpecError([OtherMethod(str(folder), name) for name in changed])
