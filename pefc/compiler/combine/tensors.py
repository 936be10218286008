"""The tensors of the result, place by place."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from ...dsl.checked import Value
from .adapter import Adapter, Placed
from .compatible import Group
from .low_rank_form import Product, scale, scaled_to_one
from .options import Wanted
from .sites import Factors, Met, are_products
from .ways import combined, stacked, truncated


@dataclass(frozen=True, slots=True)
class Result:
    """The tensors at a place, and the arguments of the statement that has them."""

    placed: Placed
    tensors: Mapping[str, Tensor]
    arguments: Mapping[str, Value] | None
    """None where they stay."""


def results(
    adapters: Sequence[Adapter], groups: Sequence[Group], options: Wanted
) -> Iterator[Result]:
    """What comes of the adapters at each place."""
    work = _Work(options, torch.Generator().manual_seed(options.seed), {}, {})
    for placed, group in zip(adapters[0].places, groups, strict=True):
        members = [each for each in group if each is not None]
        if are_products(group):
            yield work.product(members)
        elif members:
            yield work.separate(members)
        else:
            means = {
                path: work.weighted([each.tensors[path] for each in adapters], path)
                for path in placed.paths
            }
            yield Result(placed, means, None)


@dataclass(frozen=True, slots=True)
class _Work:
    options: Wanted
    generator: torch.Generator
    done: dict[str, Tensor]
    """Tensors that several sites share are combined once."""
    arguments: dict[int | None, Mapping[str, Value]]
    """By statement: those of its first site are those of all."""

    def product(self, members: Sequence[Met]) -> Result:
        """One product, in a method whose scale is 1 as far as its parameters allow."""
        first = members[0]
        assert isinstance(first.product, Product)
        made = self._multiplied([_wide(each.factors) for each in members])
        number = first.placed.statement
        if number not in self.arguments:
            rank = len(made.right)
            self.arguments[number] = scaled_to_one(first.form, first.product, rank)
        arguments = self.arguments[number]
        rest = scale(first.form, arguments)
        assert rest
        factors = {first.product.left: made.left / rest, first.product.right: made.right}
        tensors = {
            path: factors[path.rpartition(".")[2]].to(tensor.dtype)
            for path, tensor in first.tensors.items()
        }
        return Result(first.placed, tensors, arguments)

    def _multiplied(self, factors: Sequence[Factors]) -> Factors:
        weights, options = self.options.weights, self.options
        match options.way:
            case "cat":
                return stacked(factors, weights)
            case "svd":
                largest = max(len(each.right) for each in factors)
                return truncated(factors, weights, options.rank or largest)
            case _:
                return self._by_factor(factors)

    def _by_factor(self, factors: Sequence[Factors]) -> Factors:
        """Each factor takes the root of its weight and scale; the sign is with A."""
        whole = [w * each.scale for w, each in zip(self.options.weights, factors, strict=True)]
        roots = [sqrt(abs(each)) for each in whole]
        signed = [root if each >= 0 else -root for root, each in zip(roots, whole, strict=True)]
        right = combined([f.right for f in factors], signed, self.options, self.generator)
        left = combined([f.left for f in factors], roots, self.options, self.generator)
        return Factors(left, right, 1.0)

    def separate(self, members: Sequence[Met]) -> Result:
        """Tensor by tensor, as changes from where each one starts; what is frozen stays."""
        first, found = members[0], {}
        for path, tensor in first.tensors.items():
            if first.form.is_frozen(path) or not tensor.is_floating_point():
                found[path] = tensor
            else:
                start = first.form.start(path, _widened(tensor))
                found[path] = self.weighted([each.tensors[path] for each in members], path, start)
        return Result(first.placed, found, None)

    def weighted(self, tensors: Sequence[Tensor], path: str, start: Tensor | None = None) -> Tensor:
        """One tensor for several, in the dtype of the first."""
        if path not in self.done:
            origin = torch.zeros(()) if start is None else start
            changes = [_widened(tensor) - origin for tensor in tensors]
            made = origin + combined(changes, self.options.weights, self.options, self.generator)
            self.done[path] = made.to(tensors[0].dtype)
        return self.done[path]


def _wide(factors: Factors) -> Factors:
    return Factors(_widened(factors.left), _widened(factors.right), factors.scale)


def _widened(tensor: Tensor) -> Tensor:
    """In at least 32 bits, where sums keep what 16 bits would lose."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
