"""Overlap: which tensors of a model lie over the same memory, whatever they are called and whether
they are one parameter or several.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class _Lying:
    """Where a tensor lies."""

    memory: str
    start: int
    stop: int
    path: str
    """Of its module."""
    name: str

    @property
    def shown(self) -> str:
        """The module alone for a parameter that every module of its kind has."""
        return (
            self.path if self.name in {"weight", "bias"} else f"{self.path}.{self.name}".lstrip(".")
        )


def overlapping(model: nn.Module) -> Mapping[tuple[str, str], str]:
    """By the path of a module and the name of a tensor of it, another tensor over its memory."""
    found: dict[tuple[str, str], str] = {}
    each = sorted(_all(model), key=lambda lying: (lying.memory, lying.start))
    for place, one in enumerate(each):
        for other in each[place + 1 :]:
            if other.memory != one.memory or other.start >= one.stop:
                break
            found.setdefault((one.path, one.name), other.shown)
            found.setdefault((other.path, other.name), one.shown)
    return found


def _all(model: nn.Module) -> Iterator[_Lying]:
    """Parameters, buffers and what a module keeps without saying so, under each of their names."""
    for path, module in model.named_modules():
        for store in (module._parameters, module._buffers, module.__dict__):
            for name, value in store.items():
                if isinstance(value, Tensor) and value.numel():
                    yield _lying(value, path, name)


def _lying(tensor: Tensor, path: str, name: str) -> _Lying:
    start = 0 if tensor.is_meta else tensor.data_ptr()
    if not start:
        return _Lying("", id(tensor), id(tensor) + 1, path, name)
    reach = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    return _Lying(str(tensor.device), start, start + reach * tensor.itemsize, path, name)
