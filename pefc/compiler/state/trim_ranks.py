"""Settling: an adapter whose ranks are allocated, as one with shorter axes.

A rank that is switched off has no part in the output, so that every tensor may be cut to those that
are left. An adapter is saved that way unless its training is to go on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from ...dsl.checked import Lengths
from ...dsl.diagnostics.ranks import UnfinishedShrinking
from ...dsl.syntax.vocabulary import SITES
from ...runtime.distributed import whole
from ...runtime.patched import outlined
from ...runtime.quantized import floating_weight
from ...runtime.ranks import STATE
from ..lower import LinearFacts, Member, Site, elaborate, plain_patch, run
from ..model import SEED, distance
from ..plan import Plan, Planned, place_name, shrinking_statements, with_known
from ..plan import plan as planned_on

_ROUNDING = 1e-9
"""The share of an output by which a cut may change it, in 64 bits."""
_ROWS = 2


@dataclass(frozen=True, slots=True)
class Settled:
    """A plan without allocators, and the values of the tensors that are cut."""

    plan: Plan
    values: Mapping[str, Tensor]
    """By their paths in the model."""
    unfinished: tuple[UnfinishedShrinking, ...]
    """What was settled before its time."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """The sites of a statement, and the numbers of the ranks that stay at each."""

    sites: tuple[Planned, ...]
    stay: tuple[Tensor, ...]

    @property
    def lengths(self) -> Lengths:
        return tuple(
            (place_name(planned.site.path, planned.site.role), ((_dim(planned), len(ranks)),))
            for planned, ranks in zip(self.sites, self.stay, strict=True)
        )


def settled(plan: Plan, model: nn.Module) -> Settled:
    """The plan of a model with the ranks that it has now. The model is not changed."""
    groups = shrinking_statements(plan.attachments)
    if not groups:
        return Settled(plan, {}, ())
    statements = {number: _statement(tuple(sites), model) for number, sites in groups.items()}
    lengths = {number: statement.lengths for number, statement in statements.items()}
    steps = tuple(with_known(plan.checked.steps, lengths))
    values = {
        path: value
        for statement in statements.values()
        for planned, ranks in zip(statement.sites, statement.stay, strict=True)
        for path, value in _cut(planned, ranks, model).items()
    }
    found = tuple(unfinished(plan, lambda path: tensor_at(model, path), "saved"))
    return Settled(planned_on(replace(plan.checked, steps=steps), outlined(model)), values, found)


def _statement(sites: tuple[Planned, ...], model: nn.Module) -> _Statement:
    """What stays at the sites; all of it where the formula is not the same without a rank that is
    switched off.
    """
    stay = tuple(_stay(planned, model) for planned in sites)
    shorter = (p for p, ranks in zip(sites, stay, strict=True) if len(ranks) < _length(p))
    first = next(shorter, None)
    if first is None or _is_equal(first, stay[sites.index(first)], model):
        return _Statement(sites, stay)
    return _Statement(sites, tuple(torch.arange(_length(planned)) for planned in sites))


def _stay(planned: Planned, model: nn.Module) -> Tensor:
    """The ranks that are kept. Between two allocations, training brings others back."""
    assert planned.method.shrinking is not None
    values = _tensor(planned, planned.method.shrinking.ranked.values, model)
    kept = _tensor(planned, f"{STATE}.kept", model)
    return ((kept != 0) | (values.flatten() != 0)).nonzero().flatten()


def _cut(planned: Planned, ranks: Tensor, model: nn.Module) -> dict[str, Tensor]:
    """The tensors of a site that have an axis of ranks, with these ranks alone."""
    dim = _dim(planned)
    found: dict[str, Tensor] = {}
    for tensor in planned.tensors:
        if dim in tensor.axes:
            whole = _tensor(planned, tensor.name, model).detach()
            found[planned.path(tensor)] = whole.index_select(
                tensor.axes.index(dim), ranks.to(whole.device)
            )
    return found


def _is_equal(planned: Planned, ranks: Tensor, model: nn.Module) -> bool:
    """Whether a site gives the same without the other ranks, on random numbers."""
    method, facts = planned.method, planned.place.facts
    assert isinstance(facts, LinearFacts)
    known = SITES[method.attachment.method.site].dims
    dims = {n: size for n, size in method.numbers.items() if n in known and isinstance(size, int)}
    dims[_dim(planned)] = len(ranks)
    shorter = elaborate(method.attachment, dims, method.largest, planned.site.path)
    member = replace(planned.member, gated=False)
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(_ROWS, facts.inputs, generator=generator, dtype=torch.float64)

    def output(member: Member, values: Mapping[str, Tensor]) -> Tensor:
        graph = plain_patch(facts, (member,))
        device = model.get_submodule(planned.home).get_parameter("weight").device
        site = Site(_reader(planned, values, model), _no_module)
        return run(graph, site, x.to(device))  # pyright: ignore[reportReturnType]

    with torch.no_grad():
        before = output(member, {})
        after = output(replace(member, method=shorter), _cut(planned, ranks, model))
    return distance((before,), (after,)) < _ROUNDING


def _reader(
    planned: Planned, values: Mapping[str, Tensor], model: nn.Module
) -> Callable[[str], object]:
    """Reads a site in 64 bits, out of training, with other values in the place of some tensors."""
    module, prefix = model.get_submodule(planned.home), planned.member.prefix

    def read(path: str) -> object:
        if path.startswith(f"{prefix}."):
            path = f"{planned.prefix}{path.removeprefix(prefix)}"
        found: object = values.get(f"{planned.home}.{path}".lstrip("."))
        if found is None:
            found = module
            for part in path.split("."):
                is_weight = part == "weight" and found is module
                found = floating_weight(module) if is_weight else getattr(found, part)
        if isinstance(found, Tensor):
            found = whole(found)
            return found.double() if found.is_floating_point() else found
        return False if path == "training" else found

    return read


def _no_module(name: str) -> Callable[..., object]:
    raise AssertionError(f"the formula of a linear map reads tensors alone, not {name}")


def unfinished(
    plan: Plan, read: Callable[[str], Tensor], what: Literal["saved", "merged"]
) -> Iterator[UnfinishedShrinking]:
    """The statements whose last ranks are not allocated yet; `read` gives buffers by their paths in
    the model.
    """
    for sites in shrinking_statements(plan.attachments).values():
        first, shrinking = sites[0], sites[0].method.shrinking
        assert shrinking is not None
        step, last = int(_buffer(first, "step", read)), shrinking.schedule.last
        if step < last:
            ranks = sum(int(_buffer(planned, "kept", read).sum()) for planned in sites)
            wanted = (planned.method.shrinking for planned in sites)
            target = sum(each.ranked.target for each in wanted if each is not None)
            yield UnfinishedShrinking(first.span, first.label, step, last, ranks, target, what)


def _buffer(planned: Planned, name: str, read: Callable[[str], Tensor]) -> Tensor:
    declared = next(each for each in planned.stored if each.name == f"{STATE}.{name}")
    return read(planned.path(declared))


def tensor_at(model: nn.Module, path: str) -> Tensor:
    """A tensor or buffer of a model."""
    found: object = model
    for part in path.split("."):
        found = getattr(found, part)
    assert isinstance(found, Tensor)
    return whole(found)


def _dim(planned: Planned) -> str:
    assert planned.method.shrinking is not None
    return planned.method.shrinking.dim


def _length(planned: Planned) -> int:
    """How many ranks a site had at first."""
    assert planned.method.shrinking is not None
    values = planned.method.shrinking.ranked.values
    tensor = next(tensor for tensor in planned.tensors if tensor.name == values)
    return tensor.shape[tensor.axes.index(_dim(planned))]


def _tensor(planned: Planned, name: str, model: nn.Module) -> Tensor:
    """A tensor or buffer of a site by its name."""
    return tensor_at(model.get_submodule(f"{planned.home}.{planned.prefix}".lstrip(".")), name)
