"""All methods of a linear module, in their order, as one map from x to y."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.fx import Graph, Node

from ....dsl import syntax
from ....dsl.diagnostics.compiling import NoBias, NotLowered
from ....dsl.diagnostics.report import SpecError
from ...ops import TOKEN_AXIS, TOKENS, attribute, call, placeholder, shape
from ..method import Attached, Declared, LinearFacts, Member, gate, through
from .affine_map import AffineMap, FunctionMap, SiteMap, Slice, added


@dataclass(frozen=True, slots=True)
class Composition:
    """The graph that is being written, and the module's map after each member."""

    graph: Graph
    whole: SiteMap


def compose(facts: LinearFacts, members: tuple[Member, ...], *, initial: bool) -> Composition:
    """The members over the base. `initial` puts symbolic initial values in the place of tensors,
    for the proof.

    Raises SpecError where a formula does not fit the site.
    """
    graph = Graph()
    whole: SiteMap = _base(graph, facts)
    for member in members:
        cut = None if member.rows is None else Slice(graph, member.rows, f"{member.prefix}.rows")
        part = whole if cut is None else cut.restrict(whole)
        part = _Rules(graph, member, part, initial=initial).gated()
        if cut is None:
            whole = part
        elif member.owns:
            whole = cut.written(whole, part)
        else:
            whole = cut.embed(whole, part)
    return Composition(graph, whole)


def linear_patch(facts: LinearFacts, members: tuple[Member, ...], *, initial: bool) -> Graph:
    """y of x."""
    composition = compose(facts, members, initial=initial)
    graph = composition.graph
    with graph.inserting_before(next(iter(graph.nodes))):
        x = placeholder(graph, "x", (TOKENS, facts.inputs), (TOKEN_AXIS, "in"))
    graph.output(composition.whole.call(x))
    return graph


def linear_initial(
    facts: LinearFacts, members: tuple[Member, ...], tensor: Declared
) -> tuple[Graph, Node]:
    """The symbolic initial value of a tensor of the last member."""
    before = compose(facts, members[:-1], initial=False)
    member = members[-1]
    part: SiteMap = before.whole
    if member.rows is not None:
        part = Slice(before.graph, member.rows, f"{member.prefix}.rows").restrict(part)
    attached = _Rules(before.graph, member, part, initial=False).attached
    return before.graph, attached.initial(tensor)


def merged_parameters(facts: LinearFacts, members: tuple[Member, ...]) -> Graph:
    """The weight [out, in] and bias of the affine map that a module with its methods is."""
    composition = compose(facts, members, initial=False)
    composition.graph.output((composition.whole.weight(), composition.whole.bias()))
    composition.graph.eliminate_dead_code()
    return composition.graph


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


class _Rules:
    """Applies the rules of one method to a map. In its formulas W, b and x are what the method
    finds; y is current.
    """

    def __init__(self, graph: Graph, member: Member, before: SiteMap, *, initial: bool) -> None:
        self.graph = graph
        self.member = member
        self.before = before
        self.method = member.method
        ports = {"W": before.weight, "b": self._bias}
        self.attached = Attached(graph, member, initial, ports, like=before.weight)

    def result(self) -> SiteMap:
        current = self.before
        for rule in self.method.rules:
            if rule.where is not None:
                raise SpecError([NotLowered(rule.where.span, "`where` on a rule of a linear site")])
            current = _RULES[rule.target](self, rule, current)
        return current

    def gated(self) -> SiteMap:
        """The map with the method, or with what its gate lets through of it."""
        before, after = self.before, self.result()
        if not self.member.gated:
            return after

        def apply(x: Node) -> Node:
            value = gate(self.attached, x)
            return through(self.graph, value, before.call(x), after.call(x))

        return FunctionMap(self.graph, apply, before.weight)

    def _bias(self) -> Node:
        bias = self.before.bias()
        if bias is None:
            raise self._no_bias()
        return bias

    def _no_bias(self) -> SpecError:
        return SpecError([NoBias(self.method.attachment.span, self.member.prefix)])

    def _new_bias(self, rule: syntax.Rule, value: object, old: Node | None) -> Node:
        if old is not None:
            return self.attached.updated(rule, value, old)
        if rule.operator != "=":
            raise self._no_bias()
        if not isinstance(value, Node):
            raise SpecError([NotLowered(rule.value.span, "a number here")])
        return self._like_bias(rule, value)

    def _like_bias(self, rule: syntax.Rule, value: Node) -> Node:
        size: tuple[int, ...] = (self.method.numbers["out"],)  # pyright: ignore[reportAssignmentType]
        return self.attached.in_shape(rule, value, size, str(list(size)))

    def _weight_rule(self, rule: syntax.Rule, current: SiteMap) -> SiteMap:
        attached = self.attached
        value = attached.formula().write(rule.value)
        probability = attached.probability(rule)
        if isinstance(current, AffineMap) and not probability:
            new = attached.updated(rule, value, current.matrix)
            return AffineMap(self.graph, new, current.offset)
        is_sum = rule.operator in {"+=", "-="} and self._is_matrix(value)
        sign = rule.operator[0] if is_sum else "+"

        def new_weight() -> Node:
            return attached.updated(rule, value, current.weight())

        def change() -> Node:
            return value if is_sum else added(self.graph, new_weight(), current.weight(), "-")  # pyright: ignore[reportReturnType]

        def apply(x: Node) -> Node:
            seen = attached.dropped(x, probability)
            product = AffineMap(self.graph, change(), None).call(seen)
            return added(self.graph, current.call(x), product, sign)

        return FunctionMap(self.graph, apply, current.weight, new_weight, current.bias)

    def _bias_rule(self, rule: syntax.Rule, current: SiteMap) -> SiteMap:
        value = self.attached.formula().write(rule.value)
        if isinstance(current, AffineMap):
            new = self._new_bias(rule, value, current.offset)
            return AffineMap(self.graph, current.matrix, new)
        sign = rule.operator[0]
        if sign not in "+-" or not isinstance(value, Node):
            raise SpecError(
                [NotLowered(rule.span, "a bias that is replaced after the output was changed")]
            )

        self._like_bias(rule, value)

        def offset() -> Node:
            return self._new_bias(rule, value, current.bias())

        apply = lambda x: added(self.graph, current.call(x), value, sign)  # noqa: E731
        return FunctionMap(self.graph, apply, current.weight, current.weight, offset)

    def _input_rule(self, rule: syntax.Rule, current: SiteMap) -> SiteMap:
        def apply(x: Node) -> Node:
            value = self.attached.formula(x=lambda: x).write(rule.value)
            return current.call(self.attached.updated(rule, value, x))

        return FunctionMap(self.graph, apply, current.weight)

    def _output_rule(self, rule: syntax.Rule, current: SiteMap) -> SiteMap:
        attached = self.attached
        probability = attached.probability(rule)
        if probability and rule.operator not in {"+=", "-="}:
            raise SpecError([NotLowered(rule.span, "dropout over an output that is replaced")])

        def apply(x: Node) -> Node:
            y = current.call(x)
            seen = attached.dropped(x, probability)
            value = attached.formula(x=lambda: seen, y=lambda: y).write(rule.value)
            return attached.updated(rule, value, y)

        return FunctionMap(self.graph, apply, current.weight)

    def _is_matrix(self, value: object) -> bool:
        """A tensor of the shape of W, not one that is broadcast to it."""
        size = (self.method.numbers["out"], self.method.numbers["in"])
        return isinstance(value, Node) and shape(value) == size


_RULES: Mapping[str, Callable[[_Rules, syntax.Rule, SiteMap], SiteMap]] = {
    "weight": _Rules._weight_rule,
    "bias": _Rules._bias_rule,
    "input": _Rules._input_rule,
    "output": _Rules._output_rule,
}
