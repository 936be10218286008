"""Adapters in folders: trained a little, each from a seed of its own."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

import pefc

from ..models import perturb

Build = Callable[[], nn.Module]


def saved(folder: Path, build: Build, spec: str, *, seed: int) -> nn.Module:
    """A model with a spec whose tensors are perturbed, saved in a folder."""
    model = pefc.apply(spec, build())
    perturb(model, seed=seed)
    pefc.save(model, folder)
    return model


def changes(model: nn.Module, build: Build) -> dict[str, torch.Tensor]:
    """What an adapter does to each parameter of the base, in 64 bits."""
    base = build().double().state_dict()
    merged = pefc.merge(model.double()).state_dict()
    return {name: merged[name] - value for name, value in base.items()}


def loaded(folder: Path, build: Build) -> nn.Module:
    return pefc.load(build(), folder)
