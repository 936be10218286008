"""Tensors for every attachment of a plan, with their initial values. The model is read, never
written.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod

import torch
from torch import Tensor, nn
from torch.fx import Graph

from ....dsl import syntax
from ....runtime.patched import Tensors, base_class, draw, draw_positions, draw_rows
from ....runtime.quantized.form import dtype, is_packed
from ....runtime.ranks import Allocator
from ...lower import EMBED, TASK, VOCABULARY, Declared, Shrinking, Site, initial_value, run
from ...ops import BASE
from ...passes.quantized_reads import READINGS
from ...plan import Patched, Plan, Planned, tensor_dtype, unheard
from ..quantized import readings
from .casts import with_casts
from .patches import fast
from .text_embeddings import Tokenize, embedded


@dataclass(frozen=True, slots=True)
class Materials:
    """The new children of a model, before they are put in place."""

    children: Mapping[tuple[str, str], Tensors]
    """By the path of the module, below the top, and the name of the child."""
    shared: Mapping[str, Tensors]
    """By the name of the child of the top: what several sites share, and what stands there."""


def materialize(
    plan: Plan,
    model: nn.Module,
    tokenize: Tokenize | None = None,
    *,
    filled: bool = True,
    tasks: frozenset[str] | None = None,
) -> Materials:
    """Make the tensors of a plan, on the devices of the weights that they stand beside, and give
    them their initial values, or none where they are not to be `filled`.

    `tasks` names those that come to a model, whose others are there. Raises SpecError where an
    initial value needs what is not there.
    """
    making = _Making(plan, model, tokenize, filled)
    for patched in plan.modules:
        for position, planned in enumerate(patched.members):
            if tasks is None or planned.task in tasks:
                making.attach(patched, position, planned)
    making.allocate()
    return Materials(making.children, making.shared)


@dataclass(slots=True)
class _Making:
    plan: Plan
    model: nn.Module
    tokenize: Tokenize | None
    filled: bool
    children: dict[tuple[str, str], Tensors] = field(default_factory=dict)
    shared: dict[str, Tensors] = field(default_factory=dict)
    graphs: dict[object, Graph] = field(default_factory=dict)
    shrinking: dict[int, list[tuple[Tensors, Shrinking]]] = field(default_factory=dict)

    def attach(self, patched: Patched, position: int, planned: Planned) -> None:
        weight = beside(self.model, patched.path)
        owner = self._owner(patched.path, planned, weight.device)
        shared = [tensor for tensor in planned.tensors if tensor.scope is not None]
        if shared:
            owner.share(self._shared(planned))
        for tensor in planned.tensors:
            home = owner if tensor.scope is None else owner.shared
            assert home is not None
            if tensor.scope is not None and _has(home, tensor.name):
                continue
            dtype = tensor_dtype(planned, tensor, weight)
            value = torch.empty(tensor.shape, dtype=dtype, device=weight.device)
            if self.filled:
                self._fill(value, patched, position, tensor)
            home.place(tensor.name, value, frozen=tensor.frozen)
        for tensor in planned.method.states:
            dtype = tensor.dtype or torch.promote_types(weight.dtype, torch.float32)
            value = torch.zeros(tensor.shape, dtype=dtype, device=weight.device)
            self._fill(value, patched, position, tensor)
            owner.place(tensor.name, value, frozen=True)
        if planned.method.shrinking is not None:
            self.shrinking.setdefault(id(planned.method.attachment), []).append(
                (owner, planned.method.shrinking)
            )

    def allocate(self) -> None:
        """An allocator for the sites of each statement that shrinks; its tensors keep it."""
        for members in self.shrinking.values():
            schedule = members[0][1].schedule
            Allocator(schedule, [(tensors, what.ranked) for tensors, what in members], unheard)

    def _owner(self, path: str, planned: Planned, device: torch.device) -> Tensors:
        child, *rest = planned.prefix.split(".")
        owner: nn.Module = self._child(path, child)
        for name in rest:
            if name not in owner._modules:
                owner.add_module(name, Tensors())
            owner = owner.get_submodule(name)
        rows = planned.member.rows
        if rows is not None and len(rows) > 1:
            numbers = torch.cat([torch.arange(start, stop, device=device) for start, stop in rows])
            owner.register_buffer("rows", numbers, persistent=False)
        return owner  # pyright: ignore[reportReturnType]

    def _child(self, path: str, name: str) -> Tensors:
        """At the top, what stands there and what sites share may be of one task, in one child."""
        if not path:
            return self.shared.setdefault(name, Tensors())
        return self.children.setdefault((path, name), Tensors())

    def _shared(self, planned: Planned) -> Tensors:
        scopes = {tensor.scope for tensor in planned.tensors}
        top = self._child("", planned.child)
        if planned.task is not None:
            top = _inner(top, planned.label)
        if "kind" not in scopes:
            return top
        return _inner(top, (planned.site.role or "other").replace(".", "_"))

    def _fill(self, value: Tensor, patched: Patched, position: int, tensor: Declared) -> None:
        with torch.no_grad():
            if tensor.distribution is not None:
                self._draw(value, tensor)
            elif isinstance(tensor.value, syntax.Number):
                value.fill_(tensor.value.value)
            elif not value.is_meta:
                value.copy_(self._computed(patched, position, tensor))

    def _draw(self, value: Tensor, tensor: Declared) -> None:
        assert tensor.distribution is not None
        name, arguments = tensor.distribution
        if name == VOCABULARY:
            draw_rows(value, self._embedding().get_parameter("weight"))
        elif tensor.of is not None:
            draw_positions(value, prod(tensor.of), *arguments)  # pyright: ignore[reportArgumentType]
        else:
            draw(name, arguments, value, tensor.seed, tensor.name)

    def _computed(self, patched: Patched, position: int, tensor: Declared) -> Tensor:
        """A symbolic initial value, through the passes, so that it rounds as the patch does."""
        key = (patched.key, position, tensor.name)
        task = patched.members[position].task
        if key not in self.graphs:
            before = [p.member for p in patched.members[: position + 1] if p.task in {None, task}]
            graph = initial_value(patched.facts, tuple(before), tensor)
            self.graphs[key] = with_casts(fast(patched.facts, graph))
        module = self.model.get_submodule(patched.path)
        site = Site(
            lambda path: self._read(patched.path, module, path, task),
            lambda name: self._module(patched, position, name),
        )
        ports = len(tuple(self.graphs[key].find_nodes(op="placeholder")))
        like = beside(self.model, patched.path)
        return run(self.graphs[key], site, *[like] * ports)  # pyright: ignore[reportReturnType]

    def _module(self, patched: Patched, position: int, name: str) -> Callable[..., object]:
        """What an initial value may call: the map of the site, and the embedding of a text."""
        module = self.model.get_submodule(patched.path)
        if name == BASE:
            dtype = beside(self.model, patched.path).dtype
            return lambda x: base_class(module).forward(module, x.to(dtype))
        if name in READINGS:
            return partial(readings()[name], module)
        assert name == EMBED, name
        span = patched.members[position].span
        return lambda text, length: embedded(text, length, self._embedding(), self.tokenize, span)

    def _embedding(self) -> nn.Module:
        assert self.plan.table.tokens is not None
        return self.model.get_submodule(self.plan.table.tokens.embed)

    def _read(self, path: str, module: nn.Module, name: str, task: str | None) -> object:
        first, *rest = name.split(".")
        child = task if first == TASK and task is not None else first
        made = self.children.get((path, child)) if path else self.shared.get(child)
        found: object = made or getattr(module, child)
        for part in rest:
            found = getattr(found, part)
        return found


def beside(model: nn.Module, path: str) -> Tensor:
    """The weight that new tensors of a module stand beside: its own, or the nearest one."""
    module = model.get_submodule(path)
    own = module._parameters.get("weight")
    if own is not None and not is_packed(module):
        return own
    if own is not None and (kind := dtype(module)) is not None:
        return torch.empty(0, dtype=kind, device=own.device)
    while True:
        parameters = model.get_submodule(path).parameters()
        found = next((p for p in parameters if p.is_floating_point()), None)
        if found is not None or not path:
            return torch.empty(0) if found is None else found
        path = path.rpartition(".")[0]


def _inner(tensors: Tensors, name: str) -> Tensors:
    if name not in tensors._modules:
        tensors.add_module(name, Tensors())
    return tensors.get_submodule(name)  # pyright: ignore[reportReturnType]


def _has(tensors: Tensors, name: str) -> bool:
    found: object = tensors
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is not None
