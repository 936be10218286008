"""A folder with the weights of a model: one file, or shards with an index."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from .safetensors_shard import DamagedShardError, Entry, Shard

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
_WEIGHTS = (
    *(".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx", ".ot"),
    *(".safetensors.index.json", ".bin.index.json"),
)
"""How the names of files with weights end, in whatever format."""


class NoWeightsError(Exception):
    """There are no weights in safetensors."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A folder, of which every header is read."""

    folder: Path
    shards: tuple[Shard, ...]
    homes: Mapping[str, tuple[Shard, Entry]]
    """Where each tensor is."""
    index: Mapping[str, object] | None
    """What the index of shards says; None for a single file."""

    def tensor(self, name: str) -> Tensor:
        """A tensor, in memory."""
        shard, entry = self.homes[name]
        return shard.tensor(entry)

    def others(self) -> Iterator[Path]:
        """The files that hold no weights, hidden ones aside, by their paths in the folder."""
        for path in sorted(self.folder.rglob("*")):
            inner = path.relative_to(self.folder)
            is_hidden = any(part.startswith(".") for part in inner.parts)
            if path.is_file() and not is_hidden and not path.name.endswith(_WEIGHTS):
                yield inner


def open_checkpoint(folder: Path) -> Checkpoint:
    """Read the headers of a folder's weights.

    Raises NoWeightsError where there are none, DamagedShardError where a file is not what the
    format or the index says.
    """
    index = _index(folder)
    if index is None and not (folder / SINGLE).is_file():
        raise NoWeightsError(f"it has neither `{SINGLE}` nor `{INDEX}`")
    names = {SINGLE} if index is None else set(index["weight_map"].values())  # pyright: ignore[reportAttributeAccessIssue]
    shards = tuple(_shard(folder, name) for name in sorted(names))
    homes = {entry.name: (shard, entry) for shard in shards for entry in shard.entries}
    if index is not None:
        for name, file in index["weight_map"].items():  # pyright: ignore[reportAttributeAccessIssue]
            if name not in homes or homes[name][0].path.name != file:
                raise DamagedShardError(folder / file, f"it lacks `{name}`, which the index names")
    return Checkpoint(folder, shards, homes, index)


def _shard(folder: Path, name: str) -> Shard:
    if Path(name).name != name:
        raise DamagedShardError(folder / INDEX, f"it names `{name}`, outside of the folder")
    return Shard.read(folder / name)


def _index(folder: Path) -> dict[str, object] | None:
    """Of two layouts in one folder the single file counts, as it does for transformers."""
    path = folder / INDEX
    if (folder / SINGLE).is_file() or not path.is_file():
        return None
    try:
        found = json.loads(path.read_bytes())
        files = found["weight_map"].values()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedShardError(path, "it is not the JSON of an index") from error
    if not all(isinstance(file, str) for file in files):
        raise DamagedShardError(path, "it is not the JSON of an index")
    return found
