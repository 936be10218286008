"""What a caller of a function gives: where it is of the wrong type, a sentence says so."""

import re
from collections.abc import Mapping
from math import isfinite
from pathlib import Path

from ..diagnostics.suggestions import listing
from .spec import Value

_FILE = re.compile(r"\S+\.(peft|ya?ml|toml|json)(#\S*)?")
_LONGEST = 40
"""Characters of a value that is shown."""


def wrong_type(name: str, value: object, wanted: str) -> TypeError:
    """An argument that is of another type than the one that is wanted."""
    return TypeError(f"`{name}` is {shown(value)}: give {wanted}")


def shown(value: object) -> str:
    """A value, or where that would be long, what it is."""
    if value is None or isinstance(value, str | bytes | int | float):
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if isinstance(value, type):
        return f"the class `{value.__name__}`"
    return f"of class `{type(value).__name__}`"


def check_type(name: str, value: object, kinds: type | tuple[type, ...], wanted: str) -> None:
    """Raise TypeError where a value is of none of the kinds."""
    if not isinstance(value, kinds):
        raise wrong_type(name, value, wanted)


def check_text(name: str, value: object) -> None:
    """Raise where a value is no text of a spec: TypeError, or ValueError where it names a file."""
    if isinstance(value, Path):
        raise wrong_type(name, value, f"the spec that stands there, `pefc.read({str(value)!r})`")
    check_type(name, value, str, "the text of a spec")
    if isinstance(value, str) and _FILE.fullmatch(value):
        raise ValueError(f"`{name}` is the name of a file, {value!r}: give `pefc.read({value!r})`")


def check_values(name: str, value: object) -> dict[str, Value]:
    """Values for the `param`s of a spec, with lists as tuples. Raises TypeError where there is one
    that no constant can have, and ValueError where it is a number that none can be.
    """
    if not isinstance(value, Mapping):
        raise wrong_type(name, value, "a mapping from the names of `param`s to their values")
    found: dict[str, Value] = {}
    for key, given in value.items():  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(key, str):
            raise wrong_type(f"a name in {name}", key, "the name of a `param`")  # pyright: ignore[reportUnknownArgumentType]
        found[key] = _constant(f"{name}[{key!r}]", given)  # pyright: ignore[reportUnknownArgumentType]
    return found


def _constant(name: str, value: object) -> Value:
    if isinstance(value, list | tuple):
        return tuple(_constant(name, part) for part in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    if not isinstance(value, int | float | str | range):
        known = ("int", "float", "bool", "str", "range", "list")
        raise wrong_type(name, value, f"one of the Python types {listing(known)}")
    if isinstance(value, float) and not isfinite(value):
        raise ValueError(f"`{name}` is {value}: give a finite number")
    return value
