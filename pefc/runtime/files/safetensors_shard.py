"""Files of the safetensors format: their header, and the tensors in its order."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from .safetensors_header import DTYPES, Entry, read_header

_BITS: Mapping[str, torch.dtype] = {"U8": torch.uint8, "I8": torch.int8}
"""Those in which quantized weights are packed."""
_NAMES = {dtype: name for name, dtype in DTYPES.items()}
_METADATA = "__metadata__"
_CHUNK = 1 << 20
"""Bytes that are copied at once."""
_ROOM = 64
"""Bytes by which a header may grow, for each tensor whose size is not known before."""
_NUMBERS = 1 << 17
"""Numbers that are converted at once."""


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
                header = read_header(partial(_read, file), path.stat().st_size)
        except ValueError as error:
            raise DamagedShardError(path, str(error)) from error
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise DamagedShardError(path, reason) from error
        return cls(path, header.entries, header.metadata, header.data)

    def mapped(self, name: str) -> Tensor:
        """A tensor, whose pages are read from the file when they are needed.

        Raises DamagedShardError where it is none.
        """
        try:
            with safe_open(self.path, framework="pt") as file:
                return file.get_tensor(name)
        except SafetensorError as error:
            raise DamagedShardError(self.path, str(error)) from error

    def rows(self, entry: Entry, start: int, stop: int) -> Tensor:
        """Some rows of a tensor, or numbers of one that has one axis; nothing else is read."""
        dtype = entry.dtype or _BITS[entry.code]
        made = torch.empty((stop - start, *entry.shape[1:]), dtype=dtype)
        width = prod(entry.shape[1:]) * dtype.itemsize
        with self.path.open("rb") as file:
            file.seek(self.data + entry.start + start * width)
            if made.numel() and file.readinto(_bytes(made)) < made.nbytes:  # pyright: ignore[reportAttributeAccessIssue]
                raise DamagedShardError(self.path, "it is cut short")
        return made

    def at(self, entry: Entry, places: Iterable[int]) -> Tensor:
        """The numbers at some places of a tensor, counted row by row."""
        flat = replace(entry, shape=(entry.size,))
        return torch.cat([self.rows(flat, place, place + 1) for place in places])

    def tensor(self, entry: Entry) -> Tensor:
        """A whole tensor, in memory."""
        flat = replace(entry, shape=(entry.size,))
        return self.rows(flat, 0, entry.size).view(entry.shape)

    def numbers(self, entry: Entry) -> Iterator[Tensor]:
        """All numbers of a tensor, in parts."""
        flat = replace(entry, shape=(entry.size,))
        for start in range(0, entry.size, _NUMBERS):
            yield self.rows(flat, start, min(start + _NUMBERS, entry.size))

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


@dataclass(frozen=True, slots=True)
class New:
    """A tensor that is to be written."""

    name: str
    code: str
    shape: tuple[int, ...]
    size: int
    """In bytes."""
    parts: Callable[[], Iterable[Tensor | bytes]]
    """Works it out when its turn comes, in parts that follow each other."""
    is_open: bool = False
    """It is a row of bytes, and how many is known when it is there."""


def copied(shard: Shard, entry: Entry) -> New:
    """A tensor as it is."""
    size = entry.stop - entry.start
    return New(entry.name, entry.code, entry.shape, size, lambda: shard.chunks(entry))


def of_numbers(
    name: str, dtype: torch.dtype, shape: tuple[int, ...], parts: Callable[[], Iterable[Tensor]]
) -> New:
    """A tensor in a dtype, whose parts may have a wider one.

    While it is written it raises OverflowingError where a part does not fit into the dtype.
    """

    def converted() -> Iterator[Tensor]:
        for part in parts():
            for flat in part.detach().reshape(-1).split(_NUMBERS):
                made = flat.to(dtype)
                if flat.dtype != dtype and not made.isfinite().all() and flat.isfinite().all():
                    raise OverflowingError(name, dtype)
                yield made

    return New(name, _NAMES[dtype], shape, prod(shape) * dtype.itemsize, converted)


def as_given(entry: Entry, value: Callable[[], Tensor], *, is_open: bool) -> New:
    """A tensor of the same kind in the place of another one; `is_open` if it may be longer."""
    size = entry.stop - entry.start
    return New(entry.name, entry.code, entry.shape, size, lambda: (value(),), is_open)


def write_shard(path: Path, tensors: Sequence[New], metadata: Mapping[str, str]) -> int:
    """Write a file, one tensor after the other, and return the bytes of all."""
    room = len(_header(tensors, metadata)) + _ROOM * sum(new.is_open for new in tensors)
    written: list[New] = []
    with path.open("wb") as file:
        file.seek(8 + room)
        for new in tensors:
            size = _write_parts(file, new)
            assert new.is_open or size == new.size, new.name
            written.append(replace(new, size=size, shape=(size,)) if new.is_open else new)
        total = file.tell() - 8 - room
        file.seek(0)
        file.write(room.to_bytes(8, "little"))
        file.write(_header(written, metadata).ljust(room))
    return total


def file_parts(tensors: Mapping[str, Tensor]) -> tuple[bytes | memoryview, ...]:
    """Return the bytes of a file that holds some tensors: its header, then the memory of each
    tensor, of which only what is on another device or not contiguous is copied.

    The widest numbers come first, so that every tensor lies at a multiple of their width.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))
    values = {name: tensors[name].detach().cpu() for name in order}
    made = [
        New(name, _NAMES[value.dtype], tuple(value.shape), value.nbytes, tuple)
        for name, value in values.items()
    ]
    header = _header(made, {})
    return (len(header).to_bytes(8, "little"), header, *map(_bytes, values.values()))


def _write_parts(file: BinaryIO, new: New) -> int:
    before = file.tell()
    file.writelines(part if isinstance(part, bytes) else _bytes(part) for part in new.parts())
    return file.tell() - before


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.contiguous().view(-1).view(torch.uint8).numpy().data


def _read(file: BinaryIO, start: int, count: int) -> bytes:
    file.seek(start)
    return file.read(count)


def _header(tensors: Sequence[New], metadata: Mapping[str, str]) -> bytes:
    """JSON, filled up with blanks so that the data begin at a multiple of eight."""
    header: dict[str, object] = {_METADATA: dict(metadata)} if metadata else {}
    place = 0
    for new in tensors:
        offsets = [place, place + new.size]
        header[new.name] = {"dtype": new.code, "shape": list(new.shape), "data_offsets": offsets}
        place += new.size
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    return text + b" " * (-len(text) % 8)
