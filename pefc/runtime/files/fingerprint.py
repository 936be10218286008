"""What a base model is: of each weight its shape, a few samples, which tell it from another weight
in whatever dtype it is loaded, and a hash, which sees a single changed entry.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from math import isnan, prod
from types import MappingProxyType

import torch
from torch import Tensor, nn

from .. import quantized
from ..distributed import is_part, is_shared_out, whole
from ..quantized.form import form, is_packed
from .hashing import hash_of


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a weight. A quantized one counts as the one that it stands for."""

    shape: tuple[int, ...]
    samples: tuple[float, ...] | None
    """None on `meta`."""
    bits: int | None = None
    """In how many it is kept, where it is quantized."""
    dtype: str | None = None
    """In which it was hashed."""
    hash: str | None = None
    """None where it is quantized, spread over processes, or without values, and in folders of
    versions that knew no hashes.
    """
    largest: float | None = None
    """Absolute value of a quantized weight: its rounding is a share of it, however small the
    samples are.
    """

    def __post_init__(self) -> None:
        if any(size < 0 for size in self.shape):
            raise ValueError("a size is negative")
        if self.samples is not None and len(self.samples) != min(_SAMPLES, prod(self.shape)):
            raise ValueError("there are more or fewer samples than pefc takes")

    def plain(self) -> dict[str, object]:
        """As JSON keeps it."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return {"samples": None, **said}


Fingerprint = Mapping[str, Facts]
"""By the name of a parameter."""

_SAMPLES = 8
_EXACT_IN_FLOAT = 1 << 24
_TOLERANCE = 0.01
"""Relative to the largest sample; wider than the steps of bfloat16, narrower than any training."""
_ROUNDED = 0.5
"""Of the norm of the samples, where a weight is compared with itself in 4 bits: that takes about a
tenth, and another weight is off by more than the whole.
"""

_ROUNDING = 0.1
"""Of the largest value, by which samples differ in the mean where a weight is rounded to 4 bits:
that takes about a thirtieth, and another weight is off by about a third.
"""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a base is from another one."""

    weights: int
    """That are in both, with the same shape, and whose values differ."""
    of: int
    """That are in either."""
    largest: float
    """Of the differences of samples, relative to the largest sample of the weight."""
    unlike: tuple[tuple[str, str], ...]
    """Weights that are in one alone or have another shape."""


def fingerprint(
    model: nn.Module,
    without: Collection[str],
    values: Mapping[str, Tensor] = MappingProxyType({}),
    *,
    hashed: bool = True,
) -> Fingerprint:
    """What is known of the parameters of a model, leaving some out by name; of those in `values`,
    which were gathered from several processes, these.

    Of a model that is spread over processes, one tensor at a time is put together.
    """
    packed = {id(m.weight): m for m in model.modules() if is_packed(m)}
    found: dict[str, Facts] = {}
    for name, parameter in model.named_parameters():
        if name not in without:
            module = packed.get(id(parameter))
            value = values.get(name, parameter)
            if module is None:
                found[name] = tensor_facts(value, hashed=hashed and name not in values)
            else:
                found[name] = packed_facts(module, value)
    return found


def differences(expected: Fingerprint, found: Fingerprint) -> tuple[tuple[str, str], ...]:
    """The parameters that differ, each with what is different."""
    return tuple(
        (name, what)
        for name in dict.fromkeys([*expected, *found])
        if (what := _difference(expected.get(name), found.get(name))) is not None
    )


def distance(expected: Fingerprint, found: Fingerprint) -> Distance:
    """How far one base is from another."""
    both = [name for name in expected if name in found]
    alike = [name for name in both if expected[name].shape == found[name].shape]
    changed = [n for n in alike if _difference(expected[n], found[n]) is not None]
    apart = max((_apart(expected[name], found[name]) for name in changed), default=0.0)
    unlike = tuple(
        (name, what) for name, what in differences(expected, found) if name not in changed
    )
    return Distance(len(changed), len({*expected, *found}), apart, unlike)


def tensor_facts(parameter: Tensor, *, hashed: bool = False) -> Facts:
    """What is known of one parameter."""
    if parameter.is_meta:
        return Facts(tuple(parameter.shape), None)
    value = whole(parameter).detach()
    shape = tuple(value.shape)
    known = facts_of(shape, lambda steps: _entries(value, steps.to(value.device)))
    if not hashed or is_part(parameter) or is_shared_out(parameter):
        return known
    return with_hash(known, value.dtype, hash_of(parameter, known.samples))


def facts_of(shape: tuple[int, ...], numbers: Callable[[Tensor], Tensor]) -> Facts:
    """The same of a parameter that is not read as a whole: `numbers` gives those at some places of
    it, row by row.
    """
    values = numbers(_places(prod(shape))).float().tolist()
    return Facts(tuple(shape), tuple(float(f"{value:.4g}") for value in values))


def with_hash(facts: Facts, dtype: torch.dtype | None, hashed: str) -> Facts:
    """What is known of a parameter, and its hash."""
    return replace(facts, dtype=str(dtype).removeprefix("torch."), hash=hashed)


def _places(size: int) -> Tensor:
    """Where in a tensor of so many entries the samples are, from the first entry to the last.

    Up to 2²⁴ entries these are rounded as floats of 32 bits are, which saved adapters rely on;
    beyond, such floats skip integers, and the places are exact.
    """
    count = min(_SAMPLES, size)
    if size <= _EXACT_IN_FLOAT:
        return torch.linspace(0, size - 1, count).long()
    return torch.arange(count) * (size - 1) // (count - 1)


def _entries(value: Tensor, places: Tensor) -> Tensor:
    """Entries of a tensor by their places row by row; what is expanded or transposed stays so."""
    if value.is_contiguous():
        return value.view(-1)[places]
    return value[torch.unravel_index(places, value.shape)]


def packed_facts(module: nn.Module, packed: Tensor | None = None) -> Facts:
    """The same of a weight of few bits, in the orientation of the module that it was made from;
    `packed` is what the module keeps, where that is at hand.
    """
    if packed is not None and packed.is_meta:
        return Facts((module.out_features, module.in_features), None, 4)  # pyright: ignore[reportArgumentType]
    kind = form(module)
    assert kind is not None
    weight = quantized.read.values(module, packed)
    made_from = getattr(module, "source_cls", None)
    if getattr(made_from, "__name__", "") == "Conv1D":
        weight = weight.T
    known = tensor_facts(weight)
    largest = float(f"{float(weight.abs().max()):.4g}")
    return replace(known, bits=8 if kind.format == "int8" else 4, largest=largest)


def _difference(expected: Facts | None, found: Facts | None) -> str | None:
    """What is different about a parameter; None where it is the same."""
    if found is None:
        return "is missing"
    if expected is None:
        return "is not in the base of the adapter"
    if found.shape != expected.shape:
        return f"has shape {list(found.shape)}, not {list(expected.shape)}"
    if not _are_close(expected, found):
        return "has other values"
    hashes = expected.hash, found.hash
    if None in hashes or expected.dtype != found.dtype or hashes[0] == hashes[1]:
        return None
    return "has other values, if few or by little"


def _are_close(expected: Facts, found: Facts) -> bool:
    if expected.samples is None or found.samples is None:
        return True
    pairs = list(zip(expected.samples, found.samples, strict=True))
    if expected.bits != found.bits:  # a weight and itself in fewer bits
        apart = sum((a - b) ** 2 for a, b in pairs)
        largest = expected.largest or found.largest or 0.0
        room = len(pairs) * (_ROUNDING * largest) ** 2
        return apart <= max(room, _ROUNDED**2 * sum(a * a for a, _ in pairs))
    scale = max((abs(value) for value in expected.samples), default=0.0)
    return all(abs(a - b) <= _TOLERANCE * scale or (isnan(a) and isnan(b)) for a, b in pairs)


def _apart(expected: Facts, found: Facts) -> float:
    """The largest difference of samples, relative to the largest sample."""
    if expected.samples is None or found.samples is None:
        return 0.0
    scale = max((abs(value) for value in expected.samples), default=0.0)
    apart = max(
        (abs(a - b) for a, b in zip(expected.samples, found.samples, strict=True)), default=0.0
    )
    return apart / scale if scale else float(apart > 0)
