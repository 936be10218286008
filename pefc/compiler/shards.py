"""Merging an adapter into a base in a folder, a tensor at a time: into a new folder of the same
layout.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ..dsl.diagnostics.checkpoints import DamagedCheckpoint, MissingTensor, OutputExists, Overflow
from ..dsl.diagnostics.commands import UnwritableFile
from ..dsl.diagnostics.core import Diagnostic, SpecError
from ..runtime.checkpoint import (
    INDEX,
    DamagedShardError,
    Entry,
    OverflowingError,
    sync_file,
    unfinished,
    write_shard,
)
from .attached import by_statement
from .families import is_transposed
from .folds import Cost, Wish, fold_at, losing, refused
from .link.packing import floating_weight, packed_module
from .loading import check_base, check_tensors
from .patches import Patches
from .plan import Packing, Patched, Plan
from .planning import plan as planned_on
from .reading import Saved, read
from .stored import Stored, open_stored

CONFIG = "config.json"
_DTYPE = ("dtype", "torch_dtype")
"""How configurations name the dtype of weights, now and formerly."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What a merge has written."""

    costs: tuple[Cost, ...]
    tuned: int
    """Parameters that the adapter brought whole."""
    bytes: int
    """Of all tensors."""


def merge_folder(base: Path, adapter: Path, out: Path, wish: Wish) -> Rewritten:
    """Write the model of the folder `base` with an adapter folded into it. On any mistake there is
    no folder `out`.

    Raises SpecError as `load` and `merge` do, and where a folder cannot be read or written.
    """
    if out.exists() or out.is_symlink():
        raise SpecError([OutputExists(str(out))])
    saved = read(adapter)
    try:
        stored = open_stored(base)
        merging = _merging(base, saved, stored, wish)
        with unfinished(out) as fresh:
            written = merging.write(fresh)
            _raise_any(losing(written.costs, wish))
    except DamagedShardError as error:
        raise SpecError([DamagedCheckpoint(str(error.path), error.reason)]) from error
    except OverflowingError as error:
        dtype = str(error.dtype).removeprefix("torch.")
        raise SpecError([Overflow(error.name, dtype)]) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SpecError([UnwritableFile(str(out), reason)]) from error
    return written


def _merging(base: Path, saved: Saved, stored: Stored, wish: Wish) -> "_Merging":
    """Everything that is known before a tensor is worked out."""
    model = stored.model
    check_base(saved, stored.fingerprint(saved.tensors), type(model).__name__)
    plan = planned_on(saved.checked, model)
    check_tensors(plan, model, saved)
    _raise_any(refused(plan, model))
    packings = {packing.site.path: packing for packing in plan.packings}
    made = _Merging(stored, plan, saved.tensors, saved.base_buffers, wish, packings)
    missing = [name for name in made.sources if name not in stored.homes]
    if missing:
        raise SpecError([MissingTensor(str(base), missing[0], len(missing) - 1)])
    return made


@dataclass(slots=True)
class _Merging:
    """Works out one tensor after the other."""

    stored: Stored
    plan: Plan
    tensors: Mapping[str, Tensor]
    """Of the adapter."""
    buffers: Mapping[str, Tensor]
    """Those of the base among them."""
    wish: Wish
    packings: Mapping[str, Packing]
    """By path."""
    patches: Patches = field(default_factory=Patches)
    costs: dict[str, Cost] = field(default_factory=dict)
    sources: dict[str, Patched | Packing | Tensor] = field(init=False)
    """What each parameter and buffer that changes is made of."""
    _made: dict[str, Tensor] = field(default_factory=dict)
    """The parameters of the last module that are not written yet."""

    def __post_init__(self) -> None:
        tuned = {tuned.name: self.tensors[tuned.name] for tuned in self.plan.tuned}
        modules = {patched.path: patched for patched in self.plan.modules}
        packed = {self._name(path, "weight"): found for path, found in self.packings.items()}
        folded = {
            self.stored.names[id(parameter)]: patched
            for path, patched in modules.items()
            for parameter in self.stored.model.get_submodule(path).parameters(recurse=False)
        }
        self.sources = {**tuned, **packed, **folded, **self.buffers}

    def write(self, folder: Path) -> Rewritten:
        """Write the whole folder."""
        checkpoint, into = self.stored.checkpoint, self.wish.into
        size = 0
        for shard in checkpoint.shards:
            path = folder / shard.path.name
            size += write_shard(path, shard, into, self._value)
            sync_file(path)
        for inner in checkpoint.others():
            _copy(checkpoint.folder / inner, folder / inner, into)
        if checkpoint.index is not None:
            _write_index(folder / INDEX, checkpoint.index, size)
        return Rewritten(tuple(self.costs.values()), len(self.plan.tuned), size)

    def _value(self, entry: Entry) -> Tensor | None:
        """What comes for a tensor; None where it stays as it is."""
        name = self.stored.firsts.get(entry.name, entry.name)
        match self.sources.get(name):
            case Patched() as patched:
                return self._folded(patched, name)
            case Packing() as packing:
                path = packing.site.path
                weight = floating_weight(self._module(path))
                return weight.T if self._is_transposed(path) else weight
            case found:
                return found

    def _folded(self, patched: Patched, name: str) -> Tensor:
        """A parameter of a module with methods. Its others are kept if they come next, and else
        worked out again, so that what waits does not add up.
        """
        if name not in self._made:
            self._made = {}
            self._made = dict(self._fold(patched))
        return self._made.pop(name)

    def _fold(self, patched: Patched) -> Iterator[tuple[str, Tensor]]:
        path = patched.path
        module = self._module(path)
        tensors = dict(_tensors(patched, self.tensors))
        fold = fold_at(patched, module, self.patches, self.wish.into, tensors)
        self.costs[path] = fold.cost
        weight, bias = fold.weight, fold.bias
        if fold.made is not None:
            weight, bias = floating_weight(fold.made), fold.made._parameters["bias"]
            weight = weight.T if self._is_transposed(path) else weight
        yield self._name(path, "weight"), weight
        if fold.facts.bias:
            assert bias is not None
            yield self._name(path, "bias"), bias

    def _module(self, path: str) -> nn.Module:
        """A module of the base on which the adapter was trained, with values."""
        module = self.stored.module(path, self.tensors)
        packing = self.packings.get(path)
        return module if packing is None else packed_module(module, packing.form)

    def _name(self, path: str, name: str) -> str:
        parameter = self.stored.model.get_submodule(path).get_parameter(name)
        return self.stored.names[id(parameter)]

    def _is_transposed(self, path: str) -> bool:
        return is_transposed(self.stored.model.get_submodule(path))


def _tensors(patched: Patched, saved: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """What the patch of a module reads of its methods, by paths from the module."""
    for planned in patched.members:
        prefix, rows = planned.member.prefix, planned.member.rows
        for tensor in planned.tensors:
            shared = "" if tensor.scope is None else "shared."
            yield f"{prefix}.{shared}{tensor.name}", saved[planned.path(tensor)]
        if rows is not None and len(rows) > 1:
            numbers = torch.cat([torch.arange(start, stop) for start, stop in rows])
            yield f"{prefix}.rows", numbers


def _raise_any(mistakes: Iterable[Diagnostic]) -> None:
    found = by_statement(mistakes)
    if found:
        raise SpecError(found)


def _copy(source: Path, target: Path, into: torch.dtype | None) -> None:
    """Copy a file; the configuration of the model names the dtype that its weights now have."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name == CONFIG and into is not None:
        config = json.loads(source.read_bytes())
        _write_json(target, _with_dtype(config, str(into).removeprefix("torch.")))
    else:
        shutil.copyfile(source, target)
    sync_file(target)


def _with_dtype(config: object, dtype: str) -> object:
    if not isinstance(config, dict):
        return config
    named = {name: dtype for name in _DTYPE if isinstance(config.get(name), str)}
    return {**{name: _with_dtype(value, dtype) for name, value in config.items()}, **named}


def _write_index(path: Path, index: Mapping[str, object], size: int) -> None:
    metadata = index.get("metadata")
    known: Mapping[str, object] = metadata if isinstance(metadata, dict) else {}
    _write_json(path, {**index, "metadata": {**known, "total_size": size}})
    sync_file(path)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
