"""A hash of the numbers of a tensor, worked out once as long as they stay what they are."""

from collections.abc import Iterable, Iterator
from threading import Lock

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary
from xxhash import xxh3_128

_PART = 1 << 24
"""Entries that are copied at once, where a tensor lies on another device or not in one piece."""
_known = WeakIdKeyDictionary()
"""By tensor: what tells that its numbers are the same, and their hash."""
_lock = Lock()


def hash_of(tensor: Tensor, samples: object) -> str:
    """The hash of a tensor's numbers in the order of its rows, in its dtype.

    It is kept until the tensor is written to. Torch counts what writes to a tensor but through
    `.data`; that shows where one of `samples`, which are read anew each time, has changed.
    """
    if tensor.is_inference():
        return hash_of_parts(_parts(tensor))
    mark = tensor.data_ptr(), tensor._version, tensor.dtype, tensor.stride(), str(samples)
    with _lock:
        known = _known.get(tensor)
    if known is not None and known[0] == mark:
        return known[1]
    found = hash_of_parts(_parts(tensor.detach()))
    with _lock:
        _known[tensor] = mark, found
    return found


def hash_of_parts(parts: Iterable[bytes | memoryview]) -> str:
    """The hash of bytes that follow each other."""
    state = xxh3_128()
    for part in parts:
        state.update(part)
    return state.hexdigest()


def _parts(tensor: Tensor) -> Iterator[memoryview]:
    """The bytes of a tensor, a part at a time."""
    if tensor.is_contiguous() or tensor.numel() <= _PART:
        for part in tensor.reshape(-1).split(_PART):
            plain = torch.view_as_real(part) if part.is_complex() else part
            yield plain.cpu().contiguous().view(torch.uint8).numpy().data
        return
    rows = max(1, _PART * tensor.shape[0] // tensor.numel())
    for some in tensor.split(rows):
        yield from _parts(some if len(some) > 1 else some[0])
