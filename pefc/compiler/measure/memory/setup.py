"""How a step of training is set up, as `pefc plan --train` is told: `batch=4,len=512`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from ....dsl.diagnostics.commands import UnfitTrainValue, UnknownTrainKey
from ....dsl.diagnostics.report import SpecError
from ....dsl.diagnostics.suggestions import nearest
from ....runtime.quantized.form import DTYPES
from ...adapted import KINDS


@dataclass(frozen=True, slots=True)
class Setup:
    """One step of training."""

    batch: int = 1
    """Rows."""
    length: int = 512
    """Tokens in each, where the model reads tokens."""
    dtype: torch.dtype | None = None
    """Of the base; None for the one that its configuration names."""
    optimizer: str = "adamw"
    checkpointing: bool = False
    """Activations inside of layers are computed again for the gradients."""
    padding: bool = False
    """Rows differ in length, so that attention takes a mask."""


def setup(text: str) -> Setup:
    """The setup that a list of `key=value` and flags means.

    Raises SpecError with every mistake.
    """
    mistakes: list[UnknownTrainKey | UnfitTrainValue] = []
    fields: dict[str, object] = {}
    for part in text.split(","):
        key, sign, value = (word.strip() for word in part.partition("="))
        if key not in _KEYS:
            mistakes.append(UnknownTrainKey(key, tuple(_KEYS), nearest(key, _KEYS)))
            continue
        field, wanted, read = _KEYS[key]
        found = read(value if sign else None)
        if found is None or field in fields:
            wanted = "one value, once" if field in fields else wanted
            mistakes.append(UnfitTrainValue(part.strip(), key, wanted))
        fields[field] = found
    if mistakes:
        raise SpecError(mistakes)
    return Setup(**fields)  # pyright: ignore[reportArgumentType]


def _count(value: str | None) -> int | None:
    if value is None or not (value.isascii() and value.isdecimal()) or len(value) > _DIGITS:
        return None
    return int(value) if 1 <= int(value) <= _MOST else None


def _one_of(values: Mapping[str, object]) -> Callable[[str | None], object]:
    return lambda value: values.get(value or "")


def _flag(value: str | None) -> bool | None:
    return True if value is None else None


_MOST = 2**24
"""Rows, or tokens. The positions of a step do have values, which take room and time."""
_DIGITS = len(str(_MOST))
_WHOLE = f"a whole number, from 1 to {_MOST:,}"
_KEYS: Mapping[str, tuple[str, str, Callable[[str | None], object]]] = {
    "batch": ("batch", _WHOLE, _count),
    "len": ("length", _WHOLE, _count),
    "dtype": ("dtype", f"one of {', '.join(DTYPES)}", _one_of(DTYPES)),
    "optimizer": ("optimizer", f"one of {', '.join(KINDS)}", _one_of({k: k for k in KINDS})),
    "checkpointing": ("checkpointing", "nothing: it stands alone", _flag),
    "padding": ("padding", "nothing: it stands alone", _flag),
}
"""For each key its field, what it takes, and how that is read; None where it cannot be."""
