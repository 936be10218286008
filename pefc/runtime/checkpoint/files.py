"""Files of the safetensors format: eight bytes that say how long the header is, the header as JSON,
and the tensors in its order.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

_DTYPES: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""Those in which weights compute; tensors of other dtypes are copied as they are."""
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_COUNTS: Mapping[str, torch.dtype] = {
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
_METADATA = "__metadata__"
_LONGEST = 100_000_000
"""Bytes of a header, as safetensors reads them."""
_CHUNK = 1 << 22
"""Bytes that are copied at once."""


class DamagedShardError(Exception):
    """A file is not of the format."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


class OverflowingError(Exception):
    """A tensor has finite values that the dtype in which it is to be written does not have."""

    def __init__(self, name: str, dtype: torch.dtype) -> None:
        super().__init__(f"{name}: {dtype}")
        self.name = name
        self.dtype = dtype


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor in a file."""

    name: str
    code: str
    """Its dtype, as the format calls it."""
    shape: tuple[int, ...]
    start: int
    """Where its bytes begin, from the end of the header."""
    stop: int

    @property
    def dtype(self) -> torch.dtype | None:
        """The dtype of a weight; None for what no weight is stored in."""
        return _DTYPES.get(self.code)

    @property
    def size(self) -> int:
        return prod(self.shape)


def dtype_of(entry: Entry, into: torch.dtype | None) -> torch.dtype | None:
    """The dtype that a tensor is written in; None for one that is copied as it is."""
    return into if into is not None and entry.dtype is not None else entry.dtype


@dataclass(frozen=True, slots=True)
class Shard:
    """A file, of which the header is read."""

    path: Path
    entries: tuple[Entry, ...]
    """In the order of their data."""
    metadata: Mapping[str, str]
    data: int
    """Where the header ends."""

    @classmethod
    def read(cls, path: Path) -> "Shard":
        """Read the header. Raises DamagedShardError where the file is not of the format."""
        try:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(8), "little")
                if length > _LONGEST:
                    raise DamagedShardError(path, "it does not begin as safetensors do")
                header = json.loads(file.read(length))
            metadata = header.pop(_METADATA, {})
            entries = tuple(sorted(map(_entry, header, header.values()), key=lambda e: e.start))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DamagedShardError(path, "its header is not that of safetensors") from error
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise DamagedShardError(path, reason) from error
        if path.stat().st_size != 8 + length + max((e.stop for e in entries), default=0):
            raise DamagedShardError(path, "it is cut short, or too long for its header")
        return cls(path, entries, metadata, 8 + length)

    def tensor(self, name: str) -> Tensor:
        """A tensor, whose pages are read from the file when they are needed.

        Raises DamagedShardError where it is none.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                return file.get_tensor(name)
        except SafetensorError as error:
            raise DamagedShardError(self.path, str(error)) from error

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """The bytes of a tensor."""
        with self.path.open("rb") as file:
            file.seek(self.data + entry.start)
            left = entry.stop - entry.start
            while left:
                part = file.read(min(left, _CHUNK))
                if not part:
                    raise DamagedShardError(self.path, "it is cut short")
                left -= len(part)
                yield part


def write_shard(
    path: Path,
    like: Shard,
    into: torch.dtype | None,
    value: Callable[[Entry], Tensor | None],
) -> int:
    """Write a file with the tensors of another one, in the same order, one at a time, and return
    the bytes of its tensors. `value` gives what comes for a tensor; None leaves it as it is.

    Raises OverflowingError where a tensor does not fit into its dtype.
    """
    header = _header(like, into)
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for entry in like.entries:
            _write(file, like, entry, dtype_of(entry, into), value(entry))
        return file.tell() - 8 - len(header)


def _write(
    file: BinaryIO, like: Shard, entry: Entry, dtype: torch.dtype | None, value: Tensor | None
) -> None:
    if value is None and dtype == entry.dtype:
        file.writelines(like.chunks(entry))
        return
    value = like.tensor(entry.name) if value is None else value
    dtype = _COUNTS[entry.code] if dtype is None else dtype
    assert tuple(value.shape) == entry.shape, entry.name
    flat = value.detach().to(dtype).contiguous().view(-1)
    if value.dtype != dtype and not flat.isfinite().all() and value.isfinite().all():
        raise OverflowingError(entry.name, dtype)
    file.write(flat.view(torch.uint8).numpy().data)


def _entry(name: str, facts: Mapping[str, object]) -> Entry:
    start, stop = facts["data_offsets"]  # pyright: ignore[reportGeneralTypeIssues]
    return Entry(name, str(facts["dtype"]), tuple(facts["shape"]), int(start), int(stop))  # pyright: ignore[reportArgumentType]


def _header(like: Shard, into: torch.dtype | None) -> bytes:
    """JSON, filled up with blanks so that the data begin at a multiple of eight."""
    header: dict[str, object] = {_METADATA: dict(like.metadata)} if like.metadata else {}
    place = 0
    for entry in like.entries:
        dtype = dtype_of(entry, into)
        size = entry.stop - entry.start if dtype is None else entry.size * dtype.itemsize
        header[entry.name] = {
            "dtype": entry.code if dtype is None else _NAMES[dtype],
            "shape": list(entry.shape),
            "data_offsets": [place, place + size],
        }
        place += size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)
