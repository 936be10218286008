"""How much a method may ask for at a site, checked before any work is done for it: a spec may come
with an adapter that somebody else made. Each bound is far beyond what any method uses.
"""

from math import prod

MOST_ENTRIES = 1 << 40
"""Of a tensor, declared or met on the way: as numbers of 16 bits these are 2 TiB."""
MOST_TENSORS = 4096
"""Of a declared network: an LSTM of 512 layers in both directions has as many."""
MOST_REFLECTIONS = 2048
"""Of a chain, each of which is six operations of the graph."""
LARGEST_ROTATION = 4096
"""Rows of an antisymmetric matrix, whose entries are placed one by one."""
LARGEST_PRODUCT = 1 << 40
"""Of which factors are sought, up to its root."""


def check_entries(shape: tuple[int, ...]) -> None:
    """Raise ValueError where a tensor is larger than any that fits."""
    count = prod(shape)
    if count > MOST_ENTRIES:
        raise ValueError(f"it has {count} entries, {MOST_ENTRIES} at most")


def check_most(what: str, count: int, most: int) -> None:
    """Raise ValueError where there is more of something than there may be."""
    if count > most:
        raise ValueError(f"it has {count} {what}, {most} at most")
