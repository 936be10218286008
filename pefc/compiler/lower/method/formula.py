"""From an expression of a formula to nodes of a patch graph; what is a number stays a number."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

from torch.fx import Graph, Node

from ....dsl import syntax
from ....dsl.diagnostics.compiling import FormulaFailed, NotLowered
from ....dsl.diagnostics.report import SpecError
from ....dsl.evaluation import bounded
from ...ops import (
    BY_AXIS,
    FUNCTIONS,
    SIZED,
    TENSOR_METHODS,
    Function,
    binary,
    check_entries,
    index,
    negate,
    shape,
    transpose,
)
from .drift import DRIFT

Lookup = Callable[[str], object]
"""The value of a name; raises KeyError where there is none."""


class Applicable(Protocol):
    """A map that formulas call."""

    @property
    def of(self) -> Callable[..., Node]:
        """Takes the graph and the values of the arguments."""
        ...


def _no_maps(name: str) -> Applicable:
    raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Formula:
    """Writes expressions into a graph, with the values that names have there."""

    graph: Graph
    lookup: Lookup
    largest: Mapping[str, int]
    """The largest value of each dim over all sites of the statement, for `max in`."""
    map: Callable[[str], Applicable] = _no_maps
    """What a name means that is called; raises KeyError where that is nothing."""
    lengths: Mapping[str, int] = field(default_factory=dict)
    """What names mean in the sizes of tensors, where axes are shorter than it was asked for."""
    as_it_was: Lookup = _no_maps
    """The value of a name when the method was attached."""

    def size(self, expression: syntax.Expression) -> object:
        """The value of an expression that is a size of a tensor."""
        return self._in_sizes().write(expression)

    def _in_sizes(self) -> Self:
        lengths, lookup = self.lengths, self.lookup
        if not lengths:
            return self
        return replace(
            self, lookup=lambda name: lengths[name] if name in lengths else lookup(name), lengths={}
        )

    def write(self, expression: syntax.Expression) -> object:
        """The value of an expression: a number, text, tuple, none, or a node.

        Raises SpecError where shapes do not fit or a word has no lowering, at the innermost place.
        """
        try:
            value = self._write(expression)
            if isinstance(value, Node):
                check_entries(shape(value))
            elif isinstance(value, int | float):
                bounded(value, expression.span)
            return value  # noqa: TRY300  (what is written is checked as it is)
        except (
            RuntimeError,
            ValueError,
            TypeError,
            IndexError,
            ZeroDivisionError,
            OverflowError,
        ) as error:
            reason = str(error).splitlines()[0]
            raise SpecError([FormulaFailed(expression.span, reason)]) from error

    def _write(self, expression: syntax.Expression) -> object:
        match expression:
            case syntax.Number(value) | syntax.Text(value) | syntax.Bool(value):
                return value
            case syntax.Name():
                return self._name(expression)
            case syntax.Sequence(items):
                return tuple(self.write(item) for item in items)
            case syntax.Unary("not", operand):
                return not self.write(operand)
            case syntax.Unary(_, operand):
                return negate(self.graph, self.write(operand))
            case syntax.Binary(sign, left, right):
                return binary(self.graph, sign, self.write(left), self.write(right))
            case syntax.Conditional(then, test, otherwise):
                return self.write(then if self.write(test) else otherwise)
            case syntax.Call():
                return self._call(expression)
            case syntax.Attribute(value, ("T" | "mT")):
                return self._transposed(self.write(value))
            case syntax.Index(value, items):
                return self._index(self.write(value), items)
            case syntax.Largest(syntax.Name(name)):
                return self.largest[name]
            case _:
                raise SpecError([NotLowered(expression.span, "this form of expression")])

    def _name(self, name: syntax.Name) -> object:
        try:
            return self.lookup(name.name)
        except KeyError:
            raise SpecError([NotLowered(name.span, f"`{name.name}`")]) from None

    def _transposed(self, value: object) -> object:
        return transpose(self.graph, value) if isinstance(value, Node) else value

    def _call(self, call: syntax.Call) -> object:
        match call.function, call.arguments:
            case syntax.Name(name), (syntax.Argument(value=syntax.Comprehension() as each),):
                values = self._each(each)
                return FUNCTIONS[name](self.graph, *values)
            case _:
                return self._plain_call(call)

    def _each(self, each: syntax.Comprehension) -> list[object]:
        """The values of `e for m in members`."""
        found: list[object] = []
        for member in self.write(each.iterable):  # pyright: ignore[reportGeneralTypeIssues]

            def lookup(name: str, member: object = member) -> object:
                return member if name == each.variable else self.lookup(name)

            found.append(replace(self, lookup=lookup).write(each.element))
        return found

    def _plain_call(self, call: syntax.Call) -> object:
        match call.function:
            case syntax.Name(name) if name == DRIFT:
                (argument,) = call.arguments
                before = replace(self, lookup=self.as_it_was).write(argument.value)
                return binary(self.graph, "-", self.write(argument.value), before)
            case syntax.Name(name) if (mapped := self._map(name)) is not None:
                values = [self.write(argument.value) for argument in call.arguments]
                return mapped.of(self.graph, *values)
            case syntax.Name(name) if (function := self._function(name)) is not None:
                written = self._in_sizes() if name in SIZED else self
                positional, named = written._arguments(call, by_axis=name in BY_AXIS)
                return function(self.graph, *positional, **named)
            case syntax.Attribute(value, name) if name in TENSOR_METHODS:
                written = self._in_sizes() if name in SIZED else self
                positional, named = written._arguments(call, by_axis=False)
                return TENSOR_METHODS[name](self.graph, self.write(value), *positional, **named)
            case _:
                raise SpecError([NotLowered(call.function.span, f"`{call.function.span.text}`")])

    def _map(self, name: str) -> Applicable | None:
        """What a call of a name means at this site: `norm` of a block is its own."""
        try:
            return self.map(name)
        except KeyError:
            return None

    def _function(self, name: str) -> Function | None:
        """A function, by its name or by the parameter that chose it."""
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        try:
            chosen = self.lookup(name)
        except KeyError:
            return None
        return FUNCTIONS.get(chosen) if isinstance(chosen, str) else None

    def _arguments(
        self, call: syntax.Call, *, by_axis: bool
    ) -> tuple[list[object], dict[str, object]]:
        """Values by position and by name; an axis is handed over as the name of its dim."""
        positional: list[object] = []
        named: dict[str, object] = {}
        for argument in call.arguments:
            is_axis = by_axis and (argument.name == "axis" or len(positional) == 1)
            value = argument.value
            given = value.name if is_axis and isinstance(value, syntax.Name) else self.write(value)
            if argument.name is None:
                positional.append(given)
            else:
                named[argument.name] = given
        return positional, named

    def _index(self, value: object, items: tuple[syntax.Expression | syntax.Slice, ...]) -> object:
        written = tuple(self._item(item) for item in items)
        if isinstance(value, tuple):
            return value[written[0]]  # pyright: ignore[reportArgumentType, reportCallIssue]
        return index(self.graph, value, written)  # pyright: ignore[reportArgumentType]

    def _item(self, item: syntax.Expression | syntax.Slice) -> object:
        if isinstance(item, syntax.Slice):
            parts = (item.start, item.stop, item.step)
            return slice(*(None if part is None else self.write(part) for part in parts))
        return self.write(item)
