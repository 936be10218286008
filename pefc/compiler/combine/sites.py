"""What stands at one site in all of the adapters: the tensors, and the formula they belong to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from ...dsl.checked import Attachment
from .adapter import Adapter, Placed
from .low_rank_form import Product, Unlike, product
from .method_form import Form, dims, form


@dataclass(frozen=True, slots=True)
class Factors:
    """The product that an adapter has at a site."""

    left: torch.Tensor
    """[out, r]"""
    right: torch.Tensor
    """[r, in]"""
    scale: float


@dataclass(frozen=True, slots=True)
class Met:
    """One method at one site of one adapter."""

    placed: Placed
    form: Form
    product: Product | Unlike
    tensors: Mapping[str, torch.Tensor]
    """By path."""

    @property
    def factors(self) -> Factors:
        found = self.product
        assert isinstance(found, Product)
        left, right = self.placed.path(found.left), self.placed.path(found.right)
        assert left is not None
        assert right is not None
        return Factors(self.tensors[left], self.tensors[right], found.scale)


def met(adapter: Adapter, placed: Placed) -> Met | None:
    """What an adapter has at a place; None for a parameter of the model itself."""
    if placed.statement is None:
        return None
    statement = adapter.statements[placed.statement]
    step = statement.step
    assert isinstance(step, Attachment)
    tensors = {path: adapter.tensors[path] for path in placed.paths}
    shapes = {path.rpartition(".")[2]: tuple(t.shape) for path, t in tensors.items()}
    what = form(step, dims(step.method, shapes))
    found = product(what)
    names = {path.rpartition(".")[2] for path in placed.paths}
    gated = any(modifier == "gate" for modifier, _ in statement.around)
    if isinstance(found, Product) and (gated or names != {found.left, found.right}):
        found = Unlike("a gate stands around it")
    return Met(placed, what, found, tensors)


def are_products(group: Sequence[Met | None]) -> bool:
    """Whether all adapters have a low-rank product there."""
    return all(each is not None and isinstance(each.product, Product) for each in group)
