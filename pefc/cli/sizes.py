"""Counts of bytes, as people read them."""


def size(count: float) -> str:
    """`512 bytes`, `1.5 KiB`, `3.2 GiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} bytes" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
