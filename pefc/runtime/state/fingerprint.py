"""What a base model is, in a few numbers a tensor: enough to tell it from another, in whatever
dtype it is loaded.
"""

from collections.abc import Callable, Collection, Mapping
from math import prod
from types import MappingProxyType

import torch
from torch import Tensor, nn

from .. import quantized
from ..quantized import form, is_packed
from ..whole import whole

Fingerprint = Mapping[str, Mapping[str, object]]
"""By the name of a parameter: its shape, samples of its values (none on `meta`), and in how many
bits it is kept, where it is quantized. A quantized weight counts as the one that it stands for.
"""

_SAMPLES = 8
_EXACT_IN_FLOAT = 2**24
"""Floats of 32 bits hold every integer up to this one."""
_TOLERANCE = 0.01
"""Relative to the largest sample; wider than the steps of bfloat16, narrower than any training."""
_ROUNDED = 0.5
"""Of the norm of the samples, where a weight is compared with itself in 4 bits: that takes about a
tenth, and another weight is off by more than the whole.
"""


def fingerprint(
    model: nn.Module, without: Collection[str], values: Mapping[str, Tensor] = MappingProxyType({})
) -> Fingerprint:
    """Shapes and samples of the parameters of a model, leaving some out by name; of those in
    `values`, which were gathered from several processes, these.

    Of a model that is spread over processes, one tensor at a time is put together.
    """
    packed = {id(m.weight): m for m in model.modules() if is_packed(m)}
    found: dict[str, Mapping[str, object]] = {}
    for name, parameter in model.named_parameters():
        if name not in without:
            module = packed.get(id(parameter))
            value = values.get(name, parameter)
            found[name] = tensor_facts(value) if module is None else packed_facts(module, value)
    return found


def differences(expected: Fingerprint, found: Fingerprint) -> tuple[tuple[str, str], ...]:
    """The parameters that differ, each with what is different."""
    result = [(name, "is missing") for name in expected if name not in found]
    for name, facts in found.items():
        if name not in expected:
            result.append((name, "is not in the base of the adapter"))
        elif facts["shape"] != expected[name]["shape"]:
            result.append((name, f"has shape {facts['shape']}, not {expected[name]['shape']}"))
        elif not _are_close(expected[name], facts):
            result.append((name, "has other values"))
    return tuple(result)


def tensor_facts(parameter: Tensor) -> dict[str, object]:
    """The shape of one parameter, and samples of its values."""
    if parameter.is_meta:
        return {"shape": list(parameter.shape), "samples": None}
    value = whole(parameter).detach()
    shape = tuple(value.shape)
    return facts_of(shape, lambda steps: _entries(value, steps.to(value.device)))


def facts_of(shape: tuple[int, ...], numbers: Callable[[Tensor], Tensor]) -> dict[str, object]:
    """The same of a parameter that is not read as a whole: `numbers` gives those at some places of
    it, row by row.
    """
    numbers_there = numbers(_places(prod(shape))).float()
    samples = [float(f"{value:.4g}") for value in numbers_there.tolist()]
    return {"shape": list(shape), "samples": samples}


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


def packed_facts(module: nn.Module, packed: Tensor | None = None) -> dict[str, object]:
    """The same of a weight of few bits, in the orientation of the module that it was made from;
    `packed` is what the module keeps, where that is at hand.
    """
    if packed is not None and packed.is_meta:
        return {"shape": [module.out_features, module.in_features], "samples": None, "bits": 4}
    kind = form(module)
    assert kind is not None
    weight = quantized.reading.values(module, packed)
    made_from = getattr(module, "source_cls", None)
    if getattr(made_from, "__name__", "") == "Conv1D":
        weight = weight.T
    return {**tensor_facts(weight), "bits": 8 if kind.format == "int8" else 4}


def _are_close(expected: Mapping[str, object], found: Mapping[str, object]) -> bool:
    if expected.get("bits") == found.get("bits"):
        return _close(expected["samples"], found["samples"])
    return _resemble(expected["samples"], found["samples"])


def _resemble(expected: object, found: object) -> bool:
    """A weight and itself in fewer bits."""
    if not isinstance(expected, list) or not isinstance(found, list):
        return True
    apart = sum((a - b) ** 2 for a, b in zip(expected, found, strict=True))
    return apart <= _ROUNDED**2 * sum(a * a for a in expected)


def _close(expected: object, found: object) -> bool:
    if not isinstance(expected, list) or not isinstance(found, list):
        return True
    scale = max((abs(value) for value in expected), default=0.0)
    return len(expected) == len(found) and all(
        abs(a - b) <= _TOLERANCE * scale for a, b in zip(expected, found, strict=True)
    )
