"""A method at its place: the values that the names of its formulas have there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch.fx import Graph, Node

from ....dsl import syntax
from ....dsl.diagnostics.compiling import FormulaFailed, NotLowered
from ....dsl.diagnostics.report import SpecError
from ....runtime.patched import PAIRED
from ...ops import (
    POSITIONS_OF,
    Affine,
    Recurrent,
    attribute,
    binary,
    call,
    dropped_out,
    flag,
    shape,
    shown,
)
from .declarations import Declared
from .drift import start
from .formula import Applicable, Formula
from .method import Elaborated
from .signatures import Rows

TASK = "task"
"""Stands for the name of a task in the paths of its tensors, so that tasks with the same methods
have the same patch.
"""
Port = Callable[[], object]
"""Gives the value of a name when a formula reads it."""


def _is_paired(tensor: Declared) -> bool:
    """Its columns start in pairs of equal ones."""
    return tensor.distribution is not None and tensor.distribution[0] == PAIRED


@dataclass(frozen=True, slots=True)
class Member:
    """A method at a module, or at some rows of it."""

    method: Elaborated
    rows: Rows | None
    prefix: str
    """The path of its tensors from the module: the label, with the role for a slice; behind `task`
    where it belongs to one.
    """
    gated: bool = False
    """A gate decides how much of its change reaches the output."""
    parts: tuple[tuple[str, "tuple[Member, ...]"], ...] = ()
    """The methods, by task, whose changes its formula names."""
    owns: bool = False
    """Its tensors are a task's own copies of the module's parameters."""


@dataclass(frozen=True, slots=True)
class Attached:
    """Writes the formulas of one method. `ports` are the names that its kind of site gives them;
    with `initial`, tensors are replaced by their symbolic initial values, for the proof.
    """

    graph: Graph
    member: Member
    initial_values: bool
    ports: Mapping[str, Port] = field(default_factory=dict)
    calls: Mapping[str, Applicable] = field(default_factory=dict)
    """The maps of the site that formulas may call."""
    like: Port | None = None
    """A tensor whose dtype and device new constants take."""

    @property
    def method(self) -> Elaborated:
        return self.member.method

    def formula(self, **ports: Port) -> Formula:
        """Writes expressions with `ports` besides those of the site."""

        def lookup(name: str) -> object:
            if name in ports:
                return ports[name]()
            return self._name(name, written)

        def as_it_was(name: str) -> object:
            began = start(name)
            return self.tensor(began) if self._has(began) else lookup(name)

        method = self.method
        written = Formula(self.graph, lookup, method.largest, self._map, method.lengths, as_it_was)
        return written

    def initial(self, tensor: Declared) -> Node:
        """The node of a tensor's symbolic initial value, in the tensor's shape."""
        assert tensor.value is not None
        value = self._initial_formula().write(tensor.value)
        if isinstance(value, Node):
            return (
                value
                if shape(value) == tensor.shape
                else call(self.graph, torch.broadcast_to, value, tensor.shape, axes=tensor.axes)
            )
        if self.like is None:
            filled = torch.full
            return call(self.graph, filled, tensor.shape, float(value), axes=tensor.axes)  # pyright: ignore[reportArgumentType]
        like = self.like()
        return call(self.graph, torch.Tensor.new_full, like, tensor.shape, value, axes=tensor.axes)

    def _initial_formula(self) -> Formula:
        """Writes initial values, which may name what `init` computes."""

        def value(name: str) -> Port:
            return lambda: written.write(self.method.inits[name])

        written = self.formula(**{name: value(name) for name in self.method.inits})
        return written

    def _has(self, name: str) -> bool:
        return any(tensor.name == name for tensor in self.method.tensors)

    def _name(self, name: str, formula: Formula) -> object:
        method = self.method
        if name in method.lets:
            return formula.write(method.lets[name])
        if self._has(name):
            return self.tensor(name)
        if name in self.ports:
            return self.ports[name]()
        return {"none": None, **method.numbers}[name]

    def _map(self, name: str) -> Applicable:
        """What a formula calls by this name; raises KeyError where that is nothing."""
        method = self.method
        if name in method.maps:
            return Affine(self.tensor(f"{name}.weight"), self.tensor(f"{name}.bias"))
        if name in method.networks:
            return Recurrent(method.networks[name], lambda part: self.tensor(f"{name}.{part}"))
        return self.calls[name]

    def tensor(self, name: str) -> Node:
        """The node of a tensor of the method."""
        tensor = next(tensor for tensor in self.method.tensors if tensor.name == name)
        if self.initial_values and tensor.value is not None:
            return self.initial(tensor)
        shared = "" if tensor.scope is None else "shared."
        path = f"{self.member.prefix}.{shared}{name}"
        dtype = tensor.dtype or torch.float32
        node = attribute(self.graph, path, tensor.shape, tensor.axes, dtype)
        node.meta["trained"] = not tensor.frozen
        node.meta["owned"] = self.member.owns
        node.meta["method"] = self.member.prefix
        node.meta[POSITIONS_OF] = tensor.of
        node.meta["paired"] = self.initial_values and _is_paired(tensor)
        return node

    def updated(self, rule: syntax.Rule, value: object, old: Node) -> Node:
        """The new value of a target, in the shape of the old one."""
        if rule.operator == "=":
            if not isinstance(value, Node):
                raise SpecError([NotLowered(rule.value.span, "a number here")])
            return self.in_shape(rule, value, shape(old), shown(old))
        try:
            new = binary(self.graph, rule.operator[0], old, value)
        except (RuntimeError, ValueError) as error:
            raise SpecError([FormulaFailed(rule.value.span, str(error).splitlines()[0])]) from error
        return self.in_shape(rule, new, shape(old), shown(old))  # pyright: ignore[reportArgumentType]

    def in_shape(self, rule: syntax.Rule, value: Node, size: tuple[int, ...], was: str) -> Node:
        """The value that a rule gives to its target; raises SpecError where it has another shape
        than the target, which messages show as `was`.
        """
        if shape(value) == size:
            return value
        reason = f"it makes the {rule.target} {shown(value)} where it is {was}"
        raise SpecError([FormulaFailed(rule.value.span, reason)])

    def probability(self, rule: syntax.Rule) -> float:
        """Of the dropout that a rule's change sees."""
        return 0 if rule.over is None else self.formula().write(rule.over)  # pyright: ignore[reportReturnType]

    def dropped(self, x: Node, probability: float) -> Node:
        """x as the change sees it."""
        if not probability:
            return x
        return dropped_out(self.graph, x, probability, flag(self.graph, "training"))
