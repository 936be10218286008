"""What a base model is, in a few numbers a tensor: enough to tell it from another, in whatever
dtype it is loaded.
"""

from collections.abc import Collection, Mapping

import torch
from torch import nn

Fingerprint = Mapping[str, Mapping[str, object]]
"""By the name of a parameter: its shape, and samples of its values (none on `meta`)."""

_SAMPLES = 8
_TOLERANCE = 0.01
"""Relative to the largest sample; wider than the steps of bfloat16, narrower than any training."""


def fingerprint(model: nn.Module, without: Collection[str]) -> Fingerprint:
    """Shapes and samples of the parameters of a model, leaving some out by name."""
    return {
        name: {"shape": list(parameter.shape), "samples": _samples(parameter)}
        for name, parameter in model.named_parameters()
        if name not in without
    }


def differences(expected: Fingerprint, found: Fingerprint) -> tuple[tuple[str, str], ...]:
    """The parameters that differ, each with what is different."""
    result = [(name, "is missing") for name in expected if name not in found]
    for name, facts in found.items():
        if name not in expected:
            result.append((name, "is not in the base of the adapter"))
        elif facts["shape"] != expected[name]["shape"]:
            result.append((name, f"has shape {facts['shape']}, not {expected[name]['shape']}"))
        elif not _close(expected[name]["samples"], facts["samples"]):
            result.append((name, "has other values"))
    return tuple(result)


def _samples(parameter: nn.Parameter) -> list[float] | None:
    if parameter.is_meta:
        return None
    flat = parameter.detach().reshape(-1)
    steps = torch.linspace(0, flat.numel() - 1, min(_SAMPLES, flat.numel())).long()
    return [float(f"{value:.4g}") for value in flat[steps.to(flat.device)].float().tolist()]


def _close(expected: object, found: object) -> bool:
    if not isinstance(expected, list) or not isinstance(found, list):
        return True
    scale = max((abs(value) for value in expected), default=0.0)
    return len(expected) == len(found) and all(
        abs(a - b) <= _TOLERANCE * scale for a, b in zip(expected, found, strict=True)
    )
