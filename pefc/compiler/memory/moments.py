"""What optimizers keep for each parameter that trains."""

from collections.abc import Iterable

from torch import nn

_SMALL = 4096
"""Parameters with fewer numbers have moments of 32 bits with the 8-bit optimizers, too."""
_BLOCK = 256
"""Moments of 8 bits that share one scale."""
_CODE = 2 * 256 * 4
"""The two codes of 8 bits, once for all parameters."""


def moments(parameters: Iterable[nn.Parameter], kind: str) -> int:
    """The bytes of the two moments, with their scales."""
    trained = tuple(parameters)
    if "8bit" not in kind:
        # Those of bitsandbytes always have 32 bits, those of torch the dtype of the parameter.
        return sum(2 * p.numel() * (p.element_size() if kind == "adamw" else 4) for p in trained)
    large = [p.numel() for p in trained if p.numel() >= _SMALL]
    small = sum(2 * 4 * p.numel() for p in trained if p.numel() < _SMALL)
    scales = sum(2 * 4 * -(-count // _BLOCK) for count in large)
    return small + 2 * sum(large) + scales + _CODE * bool(large)


def room(parameters: Iterable[nn.Parameter], kind: str) -> int:
    """What a step of the optimizer takes for a moment: AdamW of torch goes parameter by parameter,
    and has the root of the second moment twice.
    """
    return 2 * max((p.nbytes for p in parameters), default=0) if kind == "adamw" else 0
