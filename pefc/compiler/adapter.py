"""Saving what was attached to a model, and loading it into another copy of the base; strict both
ways.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import nn

from ..dsl import library
from ..dsl.canonical import canonical
from ..dsl.checked import Attachment, Checked, leaves
from ..dsl.checker import check
from ..dsl.diagnostics.commands import UnwritableFile
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.state import (
    DamagedAdapter,
    NoAdapter,
    NoValues,
    OtherBase,
    OtherFormat,
    OtherMethod,
    OtherSites,
)
from ..dsl.format import format as format_spec
from ..dsl.parser import parse
from ..dsl.source import Source
from ..dsl.syntax import Method, Spec
from ..runtime.state import (
    MANIFEST,
    DamagedFileError,
    NoFolderError,
    differences,
    fingerprint,
    read_folder,
    write_folder,
)
from .attached import attached
from .folding import folded
from .link.live import check_unattached
from .plan import Plan
from .program import Program, compiled
from .report import report

FORMAT = 1
_SPEC = "spec.peft"
_TENSORS = "adapter.safetensors"


def save(model: nn.Module, folder: Path, *, resume: bool) -> None:
    """Write the adapter of a model: its tensors and the model's own parameters that it trains, and
    nothing else. Networks that compute prefixes are kept only where training is to `resume`.

    Raises SpecError where nothing is attached, or tensors are on `meta`.
    """
    plan: Plan = attached(model).plan  # pyright: ignore[reportAssignmentType]
    write(plan, model, folder, resume=resume)


def write(plan: Plan, model: nn.Module, folder: Path, *, resume: bool) -> None:
    """Write the adapter folder of a plan whose tensors are in the model."""
    if any(tensor.is_meta for tensor in _tensors(plan, model).values()):
        raise SpecError([NoValues(plan.model)])
    base = fingerprint(model, without=_owned(plan))
    computed: Mapping[str, torch.Tensor] = {}
    if not resume:
        fold = folded(plan, model)
        plan, computed = fold.plan, fold.values
    tensors = {
        name: tensor.detach().contiguous().cpu()
        for name, tensor in _tensors(plan, model, computed).items()
    }
    spec = format_spec(canonical(plan.checked, _is_standard))
    files = {_SPEC: spec.encode(), _TENSORS: save_tensors(tensors)}
    manifest = {
        "format": FORMAT,
        "methods": _digests(plan.checked),
        "base": base,
        "plan": report(plan),
    }
    try:
        write_folder(folder, files, manifest)
    except OSError as error:
        raise SpecError([UnwritableFile(str(folder), error.strerror or str(error))]) from error


def load(model: nn.Module, folder: Path) -> None:
    """Apply a saved spec to a model and fill its tensors. On any mistake the model is as it was.

    Raises SpecError where the folder is damaged, was made for another base, or a tensor is missing,
    extra or misshapen.
    """
    check_unattached(model)
    files, manifest = _files(folder)
    checked = check(parse(_spec(files, folder)))
    _same_methods(checked, manifest, folder)
    saved = _read_tensors(files, folder)
    _same_base(model, saved, manifest, folder)
    program = compiled(checked, model, filled=False)
    _same_tensors(program, saved, folder)
    program.apply()
    with torch.no_grad():
        for name, tensor in _tensors(program.plan, model).items():
            tensor.copy_(saved[name])


def _files(folder: Path) -> tuple[Mapping[str, bytes], Mapping[str, object]]:
    try:
        files, manifest = read_folder(folder)
    except NoFolderError:
        raise SpecError([NoAdapter(str(folder), MANIFEST)]) from None
    except DamagedFileError as error:
        raise SpecError([DamagedAdapter(str(error.path), error.reason)]) from error
    if manifest.get("format") != FORMAT:
        raise SpecError([OtherFormat(str(folder), str(manifest.get("format")), FORMAT)])
    if not _is_manifest(manifest) or not files.keys() >= {_SPEC, _TENSORS}:
        raise SpecError([DamagedAdapter(str(folder / MANIFEST), "it lacks what pefc writes there")])
    return files, manifest


def _is_manifest(manifest: Mapping[str, object]) -> bool:
    """Whether the entries that loading reads have the form in which they are written."""
    base, methods = manifest.get("base"), manifest.get("methods")
    if not isinstance(base, dict) or not isinstance(methods, dict):
        return False
    return all(
        isinstance(facts, dict) and facts.keys() >= {"shape", "samples"} for facts in base.values()
    )


def _spec(files: Mapping[str, bytes], folder: Path) -> Source:
    try:
        return Source(str(folder / _SPEC), files[_SPEC].decode())
    except UnicodeDecodeError as error:
        raise SpecError([DamagedAdapter(str(folder / _SPEC), "it is not UTF-8")]) from error


def _tensors(
    plan: Plan, model: nn.Module, computed: Mapping[str, torch.Tensor] = MappingProxyType({})
) -> dict[str, torch.Tensor]:
    """What belongs to the adapter, by path in the model; `computed` are values that stand for
    tensors which the model does not have.
    """
    found = {}
    for planned in plan.attachments:
        for tensor in planned.tensors:
            path = planned.path(tensor)
            owner, _, name = path.rpartition(".")
            known = computed.get(path)
            found[path] = getattr(model.get_submodule(owner), name) if known is None else known
    for tuned in plan.tuned:
        found[tuned.name] = model.get_parameter(tuned.name)
    return found


def _shapes(program: Program) -> dict[str, tuple[int, ...]]:
    plan = program.plan
    shapes = {p.path(tensor): tensor.shape for p in plan.attachments for tensor in p.tensors}
    tuned = {t.name: tuple(program.model.get_parameter(t.name).shape) for t in plan.tuned}
    return {**shapes, **tuned}


def _owned(plan: Plan) -> frozenset[str]:
    """Names of parameters that are not the base: what was attached, and what trains."""
    attached = {planned.path(tensor) for planned in plan.attachments for tensor in planned.tensors}
    return frozenset(attached | {tuned.name for tuned in plan.tuned})


def _read_tensors(files: Mapping[str, bytes], folder: Path) -> dict[str, torch.Tensor]:
    try:
        return load_tensors(files[_TENSORS])
    except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise SpecError([DamagedAdapter(str(folder / _TENSORS), str(error))]) from error


def _same_tensors(program: Program, saved: Mapping[str, torch.Tensor], folder: Path) -> None:
    expected = _shapes(program)
    found = [(name, "is missing in the file") for name in expected if name not in saved]
    found += [(name, "has no place in the model") for name in sorted(saved) if name not in expected]
    found += [
        (name, f"has shape {list(saved[name].shape)}, not {list(shape)}")
        for name, shape in expected.items()
        if name in saved and tuple(saved[name].shape) != shape
    ]
    if found:
        raise SpecError([OtherSites(str(folder), program.plan.model, tuple(found))])


def _same_base(
    model: nn.Module, saved: Iterable[str], manifest: Mapping[str, object], folder: Path
) -> None:
    """Before anything is planned: on another base, mistakes of the saved spec would mislead."""
    found = fingerprint(model, without=frozenset(saved))
    different = differences(manifest["base"], found)  # pyright: ignore[reportArgumentType]
    if different:
        raise SpecError([OtherBase(str(folder), type(model).__name__, different)])


def _same_methods(checked: Checked, manifest: Mapping[str, object], folder: Path) -> None:
    saved: Mapping[str, str] = manifest["methods"]  # pyright: ignore[reportAssignmentType]
    changed = [name for name, digest in _digests(checked).items() if saved.get(name) != digest]
    if changed:
        raise SpecError([OtherMethod(str(folder), name) for name in changed])


def _digests(checked: Checked) -> dict[str, str]:
    """A digest of the definition of each method, comments and layout aside."""
    methods = {s.method.name: s.method for s in leaves(checked.steps) if isinstance(s, Attachment)}
    return {
        name: hashlib.sha256(format_spec(Spec((method,), span=method.span)).encode()).hexdigest()[
            :16
        ]
        for name, method in sorted(methods.items())
    }


def _is_standard(method: Method) -> bool:
    return library.method(method.name) == method
