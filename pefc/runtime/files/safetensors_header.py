"""The header of a safetensors file: eight bytes that say how long it is, and JSON that says what
each tensor is and where its bytes are.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Annotated

import msgspec
import torch

LONGEST = 100_000_000
"""Bytes of a header, as safetensors reads them."""
_METADATA = "__metadata__"
_SIZES: Mapping[str, int] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 8),
}
"""Bytes of a number; of other dtypes none is known here."""
FLOATS: Mapping[str, torch.dtype] = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
}
"""The dtypes in which weights compute; tensors of other dtypes are copied as they are."""
DTYPES: Mapping[str, torch.dtype] = {
    **FLOATS,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
"""Those of adapters: numbers of methods and parameters, positions, and buffers of bases."""


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
        return FLOATS.get(self.code)

    @property
    def size(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of its tensors."""

    entries: tuple[Entry, ...]
    """In the order of their data."""
    metadata: Mapping[str, str]
    data: int
    """Where the header ends."""


_Natural = Annotated[int, msgspec.Meta(ge=0)]


class _Facts(msgspec.Struct):
    dtype: str
    shape: tuple[_Natural, ...]
    data_offsets: tuple[_Natural, _Natural]


def read_header(read: Callable[[int, int], bytes], size: int) -> Header:
    """The header of a file of so many bytes, of which `read` gives some: from where, and how many.

    Raises ValueError with the reason where it is not of the format, or does not go with the size.
    """
    length = int.from_bytes(read(0, 8), "little")
    if size < 8 or length > LONGEST or length > size - 8:
        raise ValueError("it does not begin as safetensors do")
    try:
        found = msgspec.json.decode(read(8, length), type=dict[str, msgspec.Raw])
        said = msgspec.json.decode(found.pop(_METADATA, b"{}"), type=dict[str, str])
        facts = {name: msgspec.json.decode(each, type=_Facts) for name, each in found.items()}
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise ValueError("its header is not that of safetensors") from error
    made = (Entry(n, f.dtype, f.shape, *f.data_offsets) for n, f in facts.items())
    entries = tuple(sorted(made, key=lambda entry: (entry.start, entry.stop)))
    _check(entries, size - 8 - length)
    return Header(entries, said, 8 + length)


def _check(entries: tuple[Entry, ...], size: int) -> None:
    """The tensors follow each other from the beginning of the data to its end."""
    end = 0
    for entry in entries:
        width = _SIZES.get(entry.code)
        taken = entry.stop - entry.start
        if entry.start != end or taken < 0 or (width and taken != width * entry.size):
            raise ValueError(f"`{entry.name}` does not lie where it should")
        end = entry.stop
    if end != size:
        raise ValueError("it is cut short, or too long for its header")
