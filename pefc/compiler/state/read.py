"""Reading an adapter folder, without trusting it and without a model."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from ...dsl.checked import Attachment, Checked, leaves
from ...dsl.checker.check import check
from ...dsl.config.files import LARGEST
from ...dsl.diagnostics.adapters import DamagedAdapter, NoAdapter, OtherFormat, OtherMethod
from ...dsl.diagnostics.report import SpecError
from ...dsl.parsing import parse
from ...dsl.syntax.method import Shrink
from ...dsl.syntax.source import Source
from ...runtime.files import (
    DTYPES,
    MANIFEST,
    DamagedFileError,
    Fingerprint,
    NoFolderError,
    Pinned,
    contents,
    read_folder,
    read_header,
)
from ..plan import place_name, with_known
from .manifest import FORMAT, Entry, Manifest, validated
from .save import SPEC, TENSORS, method_digests


@dataclass(frozen=True)
class Saved:
    """What a folder holds."""

    folder: Path
    checked: Checked
    shapes: Mapping[str, torch.Tensor]
    """Its tensors on `meta`: what the file says of them, of which nothing else is read yet."""
    manifest: Manifest
    plan: Mapping[str, object]
    """The JSON of its plan; loading makes its own."""
    _file: Pinned = field(repr=False)

    @property
    def base(self) -> Fingerprint:
        """Of the model that it was made for."""
        return self.manifest.base

    @property
    def buffers(self) -> tuple[str, ...]:
        """The tensors that are buffers of the base, which training has changed."""
        return self.manifest.buffers

    @property
    def entries(self) -> tuple[Entry, ...]:
        """What the plan says of each place."""
        return self.manifest.plan.attachments

    @cached_property
    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Its tensors, read when they are first asked for: once their sizes are known to be right.

        Raises SpecError where they are not those that were saved.
        """
        try:
            return load_tensors(contents(self._file))
        except DamagedFileError as error:
            raise SpecError([DamagedAdapter(str(error.path), error.reason)]) from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SpecError([DamagedAdapter(str(self._file.path), reason)]) from error
        except (SafetensorError, KeyError, ValueError, RuntimeError) as error:
            raise SpecError([DamagedAdapter(str(self._file.path), str(error))]) from error

    @property
    def base_buffers(self) -> dict[str, torch.Tensor]:
        return {name: self.tensors[name] for name in self.buffers}


def read(folder: Path) -> Saved:
    """The adapter of a folder; its tensors follow.

    Raises SpecError where the folder is damaged, or means something else to this version of pefc.
    """
    files, plain = _files(folder)
    manifest = _validated(plain, folder)
    checked = check(parse(_spec(files[SPEC], folder)))
    _same_methods(checked, manifest, folder)
    shorter = with_lengths(checked, manifest.plan.attachments, folder / MANIFEST)
    shapes = _shapes(files[TENSORS])
    strange = [name for name in manifest.buffers if name not in shapes]
    if strange:
        raise _damaged(folder, f"`buffers` names `{strange[0]}`, which is no tensor of `{TENSORS}`")
    plan: Mapping[str, object] = plain["plan"]  # pyright: ignore[reportAssignmentType]
    return Saved(folder, shorter, shapes, manifest, plan, files[TENSORS])


def _damaged(folder: Path, reason: str) -> SpecError:
    return SpecError([DamagedAdapter(str(folder / MANIFEST), reason)])


def _files(folder: Path) -> tuple[Mapping[str, Pinned], Mapping[str, object]]:
    try:
        return read_folder(folder, {SPEC: _check_spec, TENSORS: _check_tensors})
    except NoFolderError:
        raise SpecError([NoAdapter(str(folder), MANIFEST)]) from None
    except DamagedFileError as error:
        raise SpecError([DamagedAdapter(str(error.path), error.reason)]) from error


def _check_spec(file: Pinned) -> None:
    if file.size > LARGEST:
        raise ValueError(f"it has {file.size} bytes, {LARGEST} at most")


def _check_tensors(file: Pinned) -> None:
    for entry in read_header(file.read, file.size).entries:
        if entry.code not in DTYPES:
            raise ValueError(f"`{entry.name}` is {entry.code}, which no adapter has")


def _validated(plain: Mapping[str, object], folder: Path) -> Manifest:
    found = plain.get("format")
    if type(found) is int and found != FORMAT:
        raise SpecError([OtherFormat(str(folder), str(found), FORMAT)])
    try:
        return validated(plain)
    except ValueError as error:
        raise _damaged(folder, f"it is not what pefc writes: {error}") from error


def _spec(file: Pinned, folder: Path) -> Source:
    try:
        return Source(str(folder / SPEC), contents(file).decode())
    except UnicodeDecodeError as error:
        raise SpecError([DamagedAdapter(str(file.path), "it is not UTF-8")]) from error
    except DamagedFileError as error:
        raise SpecError([DamagedAdapter(str(error.path), error.reason)]) from error


def _shapes(file: Pinned) -> dict[str, torch.Tensor]:
    return {
        entry.name: torch.empty(entry.shape, dtype=DTYPES[entry.code], device="meta")
        for entry in read_header(file.read, file.size).entries
    }


def _same_methods(checked: Checked, manifest: Manifest, folder: Path) -> None:
    changed = [
        name
        for name, digest in method_digests(checked).items()
        if manifest.methods.get(name) != digest
    ]
    if changed:
        raise SpecError([OtherMethod(str(folder), name) for name in changed])


def with_lengths(checked: Checked, entries: Iterable[Entry], manifest: Path) -> Checked:
    """A spec whose statements know what the plan of their adapter says of shortened axes.

    Raises SpecError where it says that of a statement that shortens no such axis.
    """
    steps = tuple(leaves(checked.steps))
    found: defaultdict[int, dict[str, tuple[tuple[str, int], ...]]] = defaultdict(dict)
    for entry in entries:
        if entry.lengths:
            number = entry.statement
            step = steps[number] if number is not None and number < len(steps) else None
            if not isinstance(step, Attachment) or not entry.lengths.keys() <= _shrunk(step):
                raise SpecError([DamagedAdapter(str(manifest), "its plan speaks of other axes")])
            name = place_name(entry.site, entry.role)
            found[id(step)][name] = tuple(entry.lengths.items())
    known = {number: tuple(sites.items()) for number, sites in found.items()}
    return replace(checked, steps=tuple(with_known(checked.steps, known))) if known else checked


def _shrunk(step: Attachment) -> set[str]:
    """The axes that a method shortens."""
    return {item.dim for item in step.method.body if isinstance(item, Shrink)}
