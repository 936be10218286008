"""The manifest of an adapter folder: its one definition, by which it is validated when it is read.

What pefc adds to a manifest has a default here, so that folders of earlier versions load.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Annotated, Literal, TypeVar

import msgspec

from ...runtime.files import Facts

T = TypeVar("T")

FORMAT = 1
MOST_ENTRIES = 1 << 47
"""Of one tensor: what a machine can address as bytes, so that no product of sizes overflows."""

Natural = Annotated[int, msgspec.Meta(ge=0, le=MOST_ENTRIES)]
Shape = Annotated[tuple[Natural, ...], msgspec.Meta(max_length=64)]


@dataclass(frozen=True, slots=True)
class EntryCosts:
    operations: Natural


@dataclass(frozen=True, slots=True)
class Entry:
    """A method at a site, or a parameter of the model itself."""

    site: str
    kind: str
    label: str
    tensors: Mapping[str, Shape]
    parameters: Natural
    costs: EntryCosts
    statement: Natural | None = None
    """Its number; None where a parameter of the model trains."""
    role: str | None = None
    lengths: Mapping[str, Natural] = field(default_factory=dict)
    """Of axes that have lost ranks."""

    def __post_init__(self) -> None:
        if any(prod(shape) > MOST_ENTRIES for shape in self.tensors.values()):
            raise ValueError("a tensor is larger than any memory")


@dataclass(frozen=True, slots=True)
class Planned:
    """What is read of the plan that was saved; loading makes its own."""

    trainable: Natural
    attachments: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    format: Literal[1]
    files: Mapping[str, Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]]
    """The digest of each file."""
    methods: Mapping[str, str]
    """The digest of the definition of each method."""
    base: Mapping[str, Facts]
    """Of the model that it was made for."""
    plan: Planned
    buffers: tuple[str, ...] = ()
    """The tensors that are buffers of the base, which training has changed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a trainer checkpoint says of the adapter folder that it was written with."""

    spec: str
    base: Mapping[str, Facts]


def validated(found: object) -> Manifest:
    """A manifest. Raises ValueError with the place of what is wrong, as in `$.plan.trainable`."""
    return _converted(found, Manifest)


def validated_origin(text: bytes) -> Origin:
    """The origin of a trainer checkpoint, from its JSON. Raises ValueError likewise."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    return _converted(found, Origin)


def _converted(found: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(found, kind)
    except (msgspec.ValidationError, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from error
