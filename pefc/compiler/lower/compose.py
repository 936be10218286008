"""All methods of one module, in their order, as one map from x to y."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from ...dsl import syntax
from ...dsl.diagnostics.compiling import FormulaFailed, NoBias, NotLowered
from ...dsl.diagnostics.core import SpecError
from .arithmetic import binary
from .elaborate import Declared, Elaborated
from .formula import Formula
from .functions import Affine
from .maps import AffineMap, FunctionMap, Rows, SiteMap, Slice, added, dropped_out
from .nodes import TOKEN_AXIS, attribute, call, flag, placeholder, shape, shown


@dataclass(frozen=True, slots=True)
class LinearFacts:
    """What the patch of a linear module depends on."""

    inputs: int
    outputs: int
    bias: bool
    transposed: bool
    """The module stores its weight as [in, out], as transformers' `Conv1D` does."""


@dataclass(frozen=True, slots=True)
class Member:
    """A method at a module, or at some rows of it."""

    method: Elaborated
    rows: Rows | None
    prefix: str
    """The path of its tensors from the module: the label, with the role for a slice."""


@dataclass(frozen=True, slots=True)
class Composition:
    """The graph that is being written, and the module's map after each member."""

    graph: Graph
    whole: SiteMap
    base: AffineMap


def compose(
    facts: LinearFacts, members: tuple[Member, ...], *, initial: bool = False
) -> Composition:
    """The members over the base. `initial` puts symbolic initial values in the place of tensors,
    for the proof.

    Raises SpecError where a formula does not fit the site.
    """
    graph = Graph()
    base = _base(graph, facts)
    whole: SiteMap = base
    for member in members:
        cut = None if member.rows is None else Slice(graph, member.rows, f"{member.prefix}.rows")
        part = whole if cut is None else cut.restrict(whole)
        part = _Attached(graph, member, part, initial=initial).result()
        whole = part if cut is None else cut.embed(whole, part)
    return Composition(graph, whole, base)


def input_port(graph: Graph, facts: LinearFacts, tokens: int) -> Node:
    """The placeholder x."""
    return placeholder(graph, "x", (tokens, facts.inputs), (TOKEN_AXIS, "in"))


def initial_value(facts: LinearFacts, members: tuple[Member, ...], tensor: Declared) -> Graph:
    """A graph that computes the symbolic initial value of a tensor of the last member."""
    before = compose(facts, members[:-1])
    member = members[-1]
    part: SiteMap = before.whole
    if member.rows is not None:
        part = Slice(before.graph, member.rows, f"{member.prefix}.rows").restrict(part)
    value = _Attached(before.graph, member, part, initial=False).initial(tensor)
    before.graph.output(value)
    return before.graph


def _base(graph: Graph, facts: LinearFacts) -> AffineMap:
    stored = (facts.inputs, facts.outputs) if facts.transposed else (facts.outputs, facts.inputs)
    names = ("in", "out") if facts.transposed else ("out", "in")
    matrix = attribute(graph, "weight", stored, names)
    if facts.transposed:
        matrix = call(graph, torch.transpose, matrix, -2, -1, axes=("out", "in"))
    matrix.meta.update(port="W", biased=facts.bias)
    if not facts.bias:
        return AffineMap(graph, matrix, None)
    bias = attribute(graph, "bias", (facts.outputs,), ("out",))
    bias.meta["port"] = "b"
    return AffineMap(graph, matrix, bias)


class _Attached:
    """Applies the rules of one method to a map. In its formulas W, b and x are what the method
    finds; y is current.
    """

    def __init__(self, graph: Graph, member: Member, before: SiteMap, *, initial: bool) -> None:
        self.graph = graph
        self.member = member
        self.before = before
        self.initial_values = initial
        self.method = member.method

    def result(self) -> SiteMap:
        current = self.before
        for rule in self.method.rules:
            if rule.where is not None:
                raise SpecError([NotLowered(rule.where.span, "`where` on a rule of a linear site")])
            current = _RULES[rule.target](self, rule, current)
        return current

    def formula(self, **ports: Callable[[], object]) -> Formula:
        def lookup(name: str) -> object:
            if name in ports:
                return ports[name]()
            return self._name(name, lookup_formula)

        lookup_formula = Formula(self.graph, lookup, self.method.largest)
        return lookup_formula

    def initial(self, tensor: Declared) -> Node:
        """The node of a tensor's symbolic initial value, in the tensor's shape."""
        assert tensor.value is not None
        value = self.formula().write(tensor.value)
        if isinstance(value, Node):
            return (
                value
                if shape(value) == tensor.shape
                else call(self.graph, torch.broadcast_to, value, tensor.shape, axes=tensor.axes)
            )
        like = self.before.weight()
        return call(self.graph, torch.Tensor.new_full, like, tensor.shape, value, axes=tensor.axes)

    def _name(self, name: str, formula: Formula) -> object:
        if name in self.method.lets:
            return formula.write(self.method.lets[name])
        if name in self.method.maps:
            return Affine(self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias"))
        if any(tensor.name == name for tensor in self.method.tensors):
            return self._tensor(name)
        if name == "W":
            return self.before.weight()
        if name == "b":
            return self._bias()
        return {"none": None, **self.method.numbers}[name]

    def _bias(self) -> Node:
        bias = self.before.bias()
        if bias is None:
            raise SpecError([NoBias(self.method.attachment.span, self.member.prefix)])
        return bias

    def _tensor(self, name: str) -> Node:
        tensor = next(tensor for tensor in self.method.tensors if tensor.name == name)
        if self.initial_values and tensor.value is not None:
            return self.initial(tensor)
        shared = "" if tensor.scope is None else "shared."
        node = attribute(
            self.graph, f"{self.member.prefix}.{shared}{name}", tensor.shape, tensor.axes
        )
        node.meta["trained"] = not tensor.frozen
        return node

    def _updated(self, rule: syntax.Rule, value: object, old: Node | None) -> Node:
        """The new value of a weight, bias, input or output, in the shape of the old one."""
        if rule.operator == "=":
            if not isinstance(value, Node):
                raise SpecError([NotLowered(rule.value.span, "a number here")])
            return self._in_shape(rule, value, old)
        if old is None:
            raise SpecError([NoBias(self.method.attachment.span, self.member.prefix)])
        try:
            updated = binary(self.graph, rule.operator[0], old, value)
        except (RuntimeError, ValueError) as error:
            raise SpecError([FormulaFailed(rule.value.span, str(error).splitlines()[0])]) from error
        return self._in_shape(rule, updated, old)  # pyright: ignore[reportArgumentType]

    def _in_shape(self, rule: syntax.Rule, value: Node, old: Node | None) -> Node:
        """The value that a rule gives to its target; raises SpecError where it has another shape
        than that.
        """
        size = (self.method.numbers["out"],) if old is None else shape(old)
        if shape(value) == size:
            return value
        was = str(list(size)) if old is None else shown(old)
        reason = f"it makes the {rule.target} {shown(value)} where it is {was}"
        raise SpecError([FormulaFailed(rule.value.span, reason)])

    def _weight_rule(self, rule: syntax.Rule, current: SiteMap) -> SiteMap:
        value = self.formula().write(rule.value)
        probability = self._probability(rule)
        if isinstance(current, AffineMap) and not probability:
            return AffineMap(self.graph, self._updated(rule, value, current.matrix), current.offset)
        is_sum = rule.operator in {"+=", "-="} and self._is_matrix(value)
        sign = rule.operator[0] if is_sum else "+"

        def new_weight() -> Node:
            return self._updated(rule, value, current.weight())

        def change() -> Node:
            return value if is_sum else added(self.graph, new_weight(), current.weight(), "-")  # pyright: ignore[reportReturnType]

        def apply(x: Node) -> Node:
            seen = self._dropped(x, probability)
            product = AffineMap(self.graph, change(), None).call(seen)
            return added(self.graph, current.call(x), product, sign)

        return FunctionMap(self.graph, apply, current.weight, new_weight, current.bias)

    def _bias_rule(self, rule: syntax.Rule, current: SiteMap) -> SiteMap:
        value = self.formula().write(rule.value)
        if isinstance(current, AffineMap):
            return AffineMap(self.graph, current.matrix, self._updated(rule, value, current.offset))
        sign = rule.operator[0]
        if sign not in "+-" or not isinstance(value, Node):
            raise SpecError(
                [NotLowered(rule.span, "a bias that is replaced after the output was changed")]
            )

        self._in_shape(rule, value, None)

        def offset() -> Node:
            return self._updated(rule, value, current.bias())

        apply = lambda x: added(self.graph, current.call(x), value, sign)  # noqa: E731
        return FunctionMap(self.graph, apply, current.weight, current.weight, offset)

    def _input_rule(self, rule: syntax.Rule, current: SiteMap) -> SiteMap:
        def apply(x: Node) -> Node:
            return current.call(self._updated(rule, self.formula(x=lambda: x).write(rule.value), x))

        return FunctionMap(self.graph, apply, current.weight)

    def _output_rule(self, rule: syntax.Rule, current: SiteMap) -> SiteMap:
        probability = self._probability(rule)
        if probability and rule.operator not in {"+=", "-="}:
            raise SpecError([NotLowered(rule.span, "dropout over an output that is replaced")])

        def apply(x: Node) -> Node:
            y = current.call(x)
            seen = self._dropped(x, probability)
            return self._updated(
                rule, self.formula(x=lambda: seen, y=lambda: y).write(rule.value), y
            )

        return FunctionMap(self.graph, apply, current.weight)

    def _probability(self, rule: syntax.Rule) -> float:
        return 0 if rule.over is None else self.formula().write(rule.over)  # pyright: ignore[reportReturnType]

    def _is_matrix(self, value: object) -> bool:
        """A tensor of the shape of W, not one that is broadcast to it."""
        size = (self.method.numbers["out"], self.method.numbers["in"])
        return isinstance(value, Node) and shape(value) == size

    def _dropped(self, x: Node, probability: float) -> Node:
        if not probability:
            return x
        return dropped_out(self.graph, x, probability, flag(self.graph, "training"))


_RULES: Mapping[str, Callable[[_Attached, syntax.Rule, SiteMap], SiteMap]] = {
    "weight": _Attached._weight_rule,
    "bias": _Attached._bias_rule,
    "input": _Attached._input_rule,
    "output": _Attached._output_rule,
}
