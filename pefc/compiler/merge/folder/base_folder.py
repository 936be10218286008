"""A base in a folder: its model without values, and where its tensors are on the disk."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ....dsl.diagnostics.model_files import DamagedCheckpoint, NoCheckpoint
from ....dsl.diagnostics.report import SpecError
from ....runtime import quantized
from ....runtime.files import (
    Checkpoint,
    Facts,
    Fingerprint,
    NoWeightsError,
    facts_of,
    hash_of_parts,
    open_checkpoint,
    packed_facts,
    tensor_facts,
    with_hash,
)
from ....runtime.patched import base_buffers
from ...model import read_model
from ...plan import parameter_names
from ..base_weight import StoredWeight
from .quantized_weights import Bits, hollowed, read_bits


@dataclass(frozen=True, slots=True)
class Stored:
    """A base that is read a tensor at a time."""

    model: nn.Module
    """On `meta`."""
    checkpoint: Checkpoint
    names: Mapping[int, str]
    """The first name of each parameter of the model, by its `id`."""
    homes: Mapping[str, str]
    """The name in the files of each parameter and buffer, by its first name. What is stored under
    other names, or in other pieces, is not among them.
    """
    firsts: Mapping[str, str]
    """The first name of what is stored, by its name in the files, of which tied parameters may have
    several.
    """
    bits: Mapping[str, Bits]
    """The weights that are stored in few bits, by their names in the files."""

    def name(self, path: str, name: str) -> str:
        """The first name of a parameter of a module."""
        return self.names[id(self.model.get_submodule(path).get_parameter(name))]

    def weight(self, name: str) -> StoredWeight:
        """A parameter in floating point, by its first name."""
        return StoredWeight(*self.checkpoint.homes[self.homes[name]])

    def tensor(self, name: str) -> Tensor:
        """The same as a tensor in memory."""
        return self.checkpoint.tensor(self.homes[name])

    def packed(self, path: str) -> nn.Linear:
        """A module whose weight is stored in few bits."""
        name = self.homes[self.name(path, "weight")]
        found = self.bits[name]
        beside = {inner: self.checkpoint.tensor(inner) for inner in found.beside}
        weight = self.checkpoint.tensor(name)
        module = self.model.get_submodule(path)
        return quantized.saved.restored(module, found.form, name, weight, beside)

    def is_packed(self, path: str) -> bool:
        """Whether the weight of a module is stored in few bits."""
        return self.homes.get(self.name(path, "weight")) in self.bits

    def dtype(self, name: str) -> torch.dtype | None:
        """The dtype in which a parameter is stored."""
        return self.checkpoint.homes[self.homes[name]][1].dtype

    def fingerprint(self, without: Collection[str], *, hashed: bool) -> Fingerprint:
        """That of the model with its weights; what is stored under other names has no samples."""
        return {
            name: self._facts(name, parameter, hashed=hashed)
            for name, parameter in self.model.named_parameters()
            if name not in without
        }

    def _facts(self, name: str, parameter: Tensor, *, hashed: bool) -> Facts:
        if self.homes.get(name) in self.bits:
            return packed_facts(self.packed(name.rpartition(".")[0]))
        if name not in self.homes:
            return tensor_facts(parameter)
        shard, entry = self.checkpoint.homes[self.homes[name]]
        facts = facts_of(entry.shape, lambda steps: shard.at(entry, steps.tolist()))
        if not hashed or entry.dtype is None:
            return facts
        return with_hash(facts, entry.dtype, hash_of_parts(shard.chunks(entry)))


def open_stored(folder: Path) -> Stored:
    """The base of a folder; no tensor is read.

    Raises SpecError where the folder holds no model that could be merged into, DamagedShardError
    where a file is not what it should be.
    """
    if not folder.is_dir():
        raise SpecError([NoCheckpoint(str(folder), "there is no such folder")])
    model = read_model(str(folder))
    try:
        checkpoint = open_checkpoint(folder)
    except NoWeightsError as error:
        raise SpecError([NoCheckpoint(str(folder), str(error))]) from None
    bits = read_bits(folder, model, checkpoint)
    prefix = getattr(model, "base_model_prefix", "")
    paths = {path for path, _ in model.named_parameters(remove_duplicate=False)}
    hollowed(model, {_known(name, prefix, paths): found for name, found in bits.items()})
    names = parameter_names(model)
    buffers = [[name] for name, _ in base_buffers(model)]
    found = [
        (stored, every[0])
        for every in (*names.values(), *buffers)
        for name in every
        for stored in _spellings(name, prefix)
        if stored in checkpoint.homes
    ]
    _check_shapes(model, checkpoint, found, bits)
    firsts = {number: every[0] for number, every in names.items()}
    homes = {first: stored for stored, first in reversed(found)}
    return Stored(model, checkpoint, firsts, homes, dict(found), bits)


def _known(name: str, prefix: str, paths: Collection[str]) -> str:
    """The name that the model has for what a file may call by another one."""
    return next((n for n in _spellings(name, prefix) if n in paths), name)


def _spellings(name: str, prefix: str) -> tuple[str, ...]:
    """A model with a head and the one without it read each other's files: the names differ by the
    attribute under which the one has the other.
    """
    if not prefix:
        return (name,)
    if name.startswith(f"{prefix}."):
        return name, name.removeprefix(f"{prefix}.")
    return name, f"{prefix}.{name}"


def _check_shapes(
    model: nn.Module,
    checkpoint: Checkpoint,
    found: list[tuple[str, str]],
    bits: Mapping[str, Bits],
) -> None:
    for stored, name in found:
        shard, entry = checkpoint.homes[stored]
        path, _, last = name.rpartition(".")
        wanted = tuple(getattr(model.get_submodule(path), last).shape)
        if wanted != entry.shape:
            what = "its bits are" if stored in bits else "is"
            shapes = f"`{stored}` {what} {list(entry.shape)}, by `config.json` {list(wanted)}"
            raise SpecError([DamagedCheckpoint(str(shard.path), shapes)])
