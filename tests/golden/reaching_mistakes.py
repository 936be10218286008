"""Mistakes about what a model runs: each function makes one, in an empty working folder."""

from collections.abc import Callable

import torch

import pefc
from pefc.compiler.plan.unproven_sites import remarks

from ..laws.odd import Attending, Both, Case, Fused, Hooked
from ..models import perturb

_X = torch.zeros(1, 3, 8, dtype=torch.float64)


def read_elsewhere() -> None:
    model = pefc.apply("lora(r=2) on map, other", Case(Both, "traced").build())
    perturb(model)
    pefc.merge(model)


def never_called_in_a_run() -> None:
    pefc.plan("lora(r=2) on attention", Case(Attending, "run").build())


def unproven_sites() -> None:
    (remark,) = remarks(pefc.plan("lora(r=2) on map, other", Case(Both, "nothing").build()))
    raise pefc.SpecWarning(remark)


def unreached_sites() -> None:
    model = pefc.apply("lora(r=2) on map, other", Case(Fused, "nothing").build())
    model(_X, _X)


def replaced_output() -> None:
    pefc.apply("lora(r=2) on map", Case(Hooked, "traced").build())(_X)


def unproven_merge() -> None:
    pefc.merge(pefc.apply("lora(r=2) on map, other", Case(Both, "nothing").build()))


REACHING_MISTAKES: tuple[Callable[[], None], ...] = (
    read_elsewhere,
    never_called_in_a_run,
    unproven_sites,
    unreached_sites,
    replaced_output,
    unproven_merge,
)
