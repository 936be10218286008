"""Merging an adapter into a base in a folder, a tensor at a time: into a new folder of the same
layout.
"""

import json
import shutil
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch

from ....dsl.diagnostics.commands import UnwritableFile
from ....dsl.diagnostics.model_files import (
    DamagedCheckpoint,
    MissingTensor,
    OutputExists,
    OutputInside,
    Overflow,
)
from ....dsl.diagnostics.report import Diagnostic, SpecError
from ....runtime.files import (
    INDEX,
    DamagedShardError,
    OverflowingError,
    sync_file,
    unfinished,
    write_shard,
)
from ...plan import by_statement
from ...plan import plan as planned_on
from ...state import Saved, check_tensors, check_values, compare_base, read
from ...state import unfinished as unfinished_ranks
from ..merged_module import Cost, losing, refused
from ..options import Wish
from .base_folder import Stored, open_stored
from .rewrite import Rewriting

CONFIG = "config.json"
_DTYPE = ("dtype", "torch_dtype")
"""How configurations name the dtype of weights, now and formerly."""
_QUANTIZATION = "quantization_config"


@dataclass(frozen=True, slots=True)
class Rewritten:
    """What a merge has written."""

    costs: tuple[Cost, ...]
    tuned: int
    """Parameters that the adapter brought whole."""
    bytes: int
    """Of all tensors."""
    warnings: tuple[Diagnostic, ...]


def merge_folder(
    base: Path, adapter: Path, out: Path, wish: Wish, *, other_base: bool = False
) -> Rewritten:
    """Write the model of the folder `base` with an adapter folded into it; `other_base` if that may
    be another one than the adapter's. On any mistake there is no folder `out`.

    Raises SpecError as `load` and `merge` do, and where a folder cannot be read or written.
    """
    if out.exists() or out.is_symlink():
        raise SpecError([OutputExists(str(out))])
    for folder in (base, adapter):
        if folder.resolve() in out.resolve().parents:
            raise SpecError([OutputInside(str(out), str(folder))])
    saved = read(adapter)
    try:
        stored = open_stored(base)
        merging, warnings = _rewriting(base, saved, stored, wish, other_base=other_base)
        with unfinished(out) as fresh:
            written = _write(merging, fresh)
            _raise_any(losing(written.costs, wish))
    except DamagedShardError as error:
        raise SpecError([DamagedCheckpoint(str(error.path), error.reason)]) from error
    except OverflowingError as error:
        dtype = str(error.dtype).removeprefix("torch.")
        raise SpecError([Overflow(error.name, dtype)]) from error
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise SpecError([UnwritableFile(str(out), reason)]) from error
    return replace(written, warnings=(*warnings, *written.warnings))


def _rewriting(
    base: Path, saved: Saved, stored: Stored, wish: Wish, *, other_base: bool
) -> tuple[Rewriting, tuple[Diagnostic, ...]]:
    """Everything that is known before a tensor is worked out, and what is probably not meant."""
    model, found = stored.model, partial(stored.fingerprint, saved.shapes)
    off = compare_base(saved, found, type(model).__name__, other_base=other_base)
    plan = planned_on(saved.checked, model)
    check_tensors(plan, model, saved)
    warnings = (*off, *check_values(plan, saved))
    _raise_any(refused(plan, model))
    made = Rewriting(stored, plan, saved.tensors, frozenset(saved.base_buffers), wish)
    missing = sorted(made.changed - stored.homes.keys())
    if missing:
        raise SpecError([MissingTensor(str(base), missing[0], len(missing) - 1)])
    return made, warnings


def _write(rewriting: Rewriting, folder: Path) -> Rewritten:
    checkpoint, into = rewriting.stored.checkpoint, rewriting.wish.into
    names: set[str] = set()
    size = 0
    for shard in checkpoint.shards:
        path = folder / shard.path.name
        tensors = tuple(rewriting.tensors(shard))
        names.update(new.name for new in tensors)
        size += write_shard(path, tensors, shard.metadata)
        sync_file(path)
    for inner in checkpoint.others():
        _copy(checkpoint.folder / inner, folder / inner, into)
    if checkpoint.index is not None:
        _write_index(folder / INDEX, checkpoint.index, names, size)
    plan, values = rewriting.plan, rewriting.values
    warnings = tuple(unfinished_ranks(plan, lambda path: values[path], "merged"))
    return Rewritten(tuple(rewriting.costs.values()), len(plan.tuned), size, warnings)


def _raise_any(mistakes: Iterable[Diagnostic]) -> None:
    found = by_statement(mistakes)
    if found:
        raise SpecError(found)


def _copy(source: Path, target: Path, into: torch.dtype | None) -> None:
    """Copy a file; the configuration of the model names the dtype that its weights now have."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.name == CONFIG and into is not None:
        config = json.loads(source.read_bytes())
        plain = {name: value for name, value in config.items() if name != _QUANTIZATION}
        _write_json(target, _with_dtype(plain, str(into).removeprefix("torch.")))
    else:
        shutil.copyfile(source, target)
    sync_file(target)


def _with_dtype(config: object, dtype: str) -> object:
    if not isinstance(config, dict):
        return config
    named = {name: dtype for name in _DTYPE if isinstance(config.get(name), str)}
    return {**{name: _with_dtype(value, dtype) for name, value in config.items()}, **named}


def _write_index(
    path: Path, index: Mapping[str, object], names: Collection[str], size: int
) -> None:
    metadata = index.get("metadata")
    known: Mapping[str, object] = metadata if isinstance(metadata, dict) else {}
    homes: Mapping[str, str] = index["weight_map"]  # pyright: ignore[reportAssignmentType]
    kept = {name: file for name, file in homes.items() if name in names}
    _write_json(path, {**index, "metadata": {**known, "total_size": size}, "weight_map": kept})
    sync_file(path)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
