"""A base in a folder: its model without values, and where its tensors are on the disk."""

from collections.abc import Collection, Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ..dsl.diagnostics.checkpoints import DamagedCheckpoint, NoCheckpoint, QuantizedCheckpoint
from ..dsl.diagnostics.core import SpecError
from ..runtime.buffers import base_buffers
from ..runtime.checkpoint import Checkpoint, NoWeightsError, open_checkpoint
from ..runtime.state import Fingerprint, tensor_facts
from .models import read_model
from .training import parameter_names


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

    def module(self, path: str, values: Mapping[str, torch.Tensor]) -> nn.Module:
        """A module with its own parameters read, or taken from `values`."""
        module = self.model.get_submodule(path)
        made = copy(module)
        made.__dict__["_parameters"] = {
            name: None
            if parameter is None
            else nn.Parameter(self._value(self.names[id(parameter)], values), requires_grad=False)
            for name, parameter in module._parameters.items()
        }
        return made

    def dtype(self, name: str) -> torch.dtype | None:
        """The dtype in which a parameter is stored."""
        return self.checkpoint.homes[self.homes[name]][1].dtype

    def fingerprint(self, without: Collection[str]) -> Fingerprint:
        """That of the model with its weights; what is stored under other names has no samples."""
        return {
            name: tensor_facts(self._value(name, {}) if name in self.homes else parameter)
            for name, parameter in self.model.named_parameters()
            if name not in without
        }

    def _value(self, name: str, values: Mapping[str, torch.Tensor]) -> torch.Tensor:
        if name in values:
            return values[name].to(self.dtype(name))
        return self.checkpoint.tensor(self.homes[name])


def open_stored(folder: Path) -> Stored:
    """The base of a folder; no tensor is read.

    Raises SpecError where the folder holds no model that could be merged into, DamagedShardError
    where a file is not what it should be.
    """
    if not folder.is_dir():
        raise SpecError([NoCheckpoint(str(folder), "there is no such folder")])
    model = read_model(str(folder))
    method = _quantization(model)
    if method is not None:
        raise SpecError([QuantizedCheckpoint(str(folder), method)])
    try:
        checkpoint = open_checkpoint(folder)
    except NoWeightsError as error:
        raise SpecError([NoCheckpoint(str(folder), str(error))]) from None
    names = parameter_names(model)
    buffers = [[name] for name, _ in base_buffers(model)]
    found = [
        (stored, every[0])
        for every in (*names.values(), *buffers)
        for name in every
        for stored in _spellings(name, getattr(model, "base_model_prefix", ""))
        if stored in checkpoint.homes
    ]
    _check_shapes(model, checkpoint, found)
    firsts = {number: every[0] for number, every in names.items()}
    homes = {first: stored for stored, first in reversed(found)}
    return Stored(model, checkpoint, firsts, homes, dict(found))


def _spellings(name: str, prefix: str) -> tuple[str, ...]:
    """A model with a head and the one without it read each other's files: the names differ by the
    attribute under which the one has the other.
    """
    if not prefix:
        return (name,)
    if name.startswith(f"{prefix}."):
        return name, name.removeprefix(f"{prefix}.")
    return name, f"{prefix}.{name}"


def _quantization(model: nn.Module) -> str | None:
    found = getattr(getattr(model, "config", None), "quantization_config", None)
    if found is None:
        return None
    return str(found.get("quant_method", "unknown") if isinstance(found, dict) else found)


def _check_shapes(model: nn.Module, checkpoint: Checkpoint, found: list[tuple[str, str]]) -> None:
    for stored, name in found:
        shard, entry = checkpoint.homes[stored]
        path, _, last = name.rpartition(".")
        wanted = getattr(model.get_submodule(path), last).shape
        if tuple(wanted) != entry.shape:
            shapes = f"`{stored}` is {list(entry.shape)}, by `config.json` {list(wanted)}"
            raise SpecError([DamagedCheckpoint(str(shard.path), shapes)])
