"""A method with its arguments at a site: numbers for its hyper-parameters and dims, shapes for its
tensors.
"""

from collections.abc import Callable, Iterator, Mapping
from math import sqrt

from torch.fx import Graph

from ....dsl import syntax
from ....dsl.checked import Attachment
from ....dsl.diagnostics.compiling import (
    FormulaFailed,
    NotLowered,
    RequirementFailed,
    TensorNameTaken,
    WrongSize,
)
from ....dsl.diagnostics.report import SpecError
from ....dsl.syntax.source import Span
from ....dsl.syntax.vocabulary import MODULES
from ....runtime.patched import DISTRIBUTIONS as DRAWN
from ....runtime.patched import PAIRED, is_taken
from ...ops import MOST_TENSORS, Network, check_entries, check_most
from .declarations import VOCABULARY, Declared
from .drift import starts
from .formula import Formula
from .method import Elaborated
from .rank_allocation import Shrinking, shrinking, states
from .sparse_positions import index

_DISTRIBUTIONS = frozenset({*DRAWN, VOCABULARY})


def elaborate(
    attachment: Attachment, dims: Mapping[str, int], largest: Mapping[str, int], site: str
) -> Elaborated:
    """Work out a method for the dims of a site; `site` is named in messages.

    Raises SpecError where a size is no positive whole number, a `require` fails, or an item has no
    lowering.
    """
    return _Elaboration(attachment, dims, largest, site).result()


class _Elaboration:
    def __init__(
        self, attachment: Attachment, dims: Mapping[str, int], largest: Mapping[str, int], site: str
    ) -> None:
        self.attachment = attachment
        self.site = site
        self.largest = largest
        parameters = {parameter.name for parameter in attachment.method.parameters}
        self.lengths = {name: length for name, length in dims.items() if name in parameters}
        self.numbers: dict[str, object] = dict(dims)
        self.lets: dict[str, syntax.Expression] = {}
        self.inits: dict[str, syntax.Expression] = {}
        self.tensors: list[Declared] = []
        self.maps: list[str] = []
        self.networks: dict[str, Network] = {}
        self.rules: list[syntax.Rule] = []
        self.extends: list[syntax.Extend] = []
        self.losses: list[syntax.Expression] = []
        self.shift = 0
        self.tunes: list[str] = []
        self.shrinks: list[syntax.Shrink] = []
        self.formula = Formula(Graph(), self._number, largest, lengths=self.lengths)

    def result(self) -> Elaborated:
        self._bind()
        for item in self._chosen(self.attachment.method.body):
            self._take(item)
        tensors = (*self.tensors, *starts(self.tensors, self.rules))
        shrunk = self._shrinking(tensors)
        return Elaborated(
            self.attachment,
            self.numbers,
            self.largest,
            tensors,
            tuple(self.maps),
            self.lets,
            self.inits,
            self.networks,
            tuple(self.rules),
            tuple(self.extends),
            tuple(self.losses),
            self.shift,
            tuple(self.tunes),
            self.lengths,
            shrunk,
            () if shrunk is None else states(shrunk, tensors),
        )

    def _number(self, name: str) -> object:
        if name in self.lets:
            return self.formula.write(self.lets[name])
        return self.numbers[name]

    def _bind(self) -> None:
        given = dict(self.attachment.arguments)
        for parameter in self.attachment.method.parameters:
            if isinstance(parameter.type, syntax.Enumeration):
                self.numbers.update({member: member for member in parameter.type.members})
        for parameter in self.attachment.method.parameters:
            value: object = given.get(parameter.name)
            if value is None and parameter.default is not None:
                value = self.formula.write(parameter.default)
            self.numbers[parameter.name] = self._typed(parameter, value)

    def _typed(self, parameter: syntax.Parameter, value: object) -> object:
        is_int = isinstance(parameter.type, syntax.NamedType) and parameter.type.name == "int"
        if not is_int or not isinstance(value, float):
            return value
        if value != int(value):
            place = parameter if parameter.default is None else parameter.default
            raise SpecError([WrongSize(place.span, f"{value:g}", self.site)])
        return int(value)

    def _chosen(self, items: tuple[syntax.MethodItem, ...]) -> Iterator[syntax.MethodItem]:
        """The items that stand after every `if` is decided."""
        for item in items:
            if isinstance(item, syntax.When):
                yield from self._chosen(
                    item.then if self.formula.write(item.test) else item.otherwise
                )
            else:
                yield item

    def _take(self, item: syntax.MethodItem) -> None:
        match item:
            case syntax.Tensor() | syntax.Affine() | syntax.Module() if is_taken(item.name):
                raise SpecError([TensorNameTaken(item.span, item.name)])
            case syntax.Tensor():
                self.tensors.append(self._tensor(item))
            case syntax.Indices():
                self.tensors.append(index(item, self._size, self.formula.write))
            case syntax.Affine():
                self._affine(item)
            case syntax.Module():
                self._network(item)
            case syntax.Let(names, values):
                self.lets.update(_bound(names, values))
            case syntax.Init(names, values):
                self.inits.update(_bound(names, values))
            case syntax.Require(condition):
                self._require(condition)
            case syntax.Rule("positions"):
                self.shift += int(self.formula.write(item.value))  # pyright: ignore[reportArgumentType]
            case syntax.Rule():
                self.rules.append(item)
            case syntax.Extend():
                self.extends.append(item)
            case syntax.Loss(value):
                self.losses.append(value)
            case syntax.Tune(parameters):
                self.tunes.extend(parameter.name for parameter in parameters)
            case syntax.Shrink() if self._may_shrink():
                self.shrinks.append(item)
            case _:
                word = item.span.text.split(maxsplit=1)[0]
                raise SpecError([NotLowered(item.span, f"`{word}`")])

    def _may_shrink(self) -> bool:
        """Once in a method, on a linear map."""
        return not self.shrinks and self.attachment.method.site in {"linear", "any"}

    def _shrinking(self, tensors: tuple[Declared, ...]) -> Shrinking | None:
        """How ranks are allocated, where there is any choice left."""
        for item in self.shrinks:
            if item.dim not in self.lengths:
                return shrinking(item, tensors, self.formula.write, self.attachment.span)
        return None

    def _require(self, condition: syntax.Expression) -> None:
        if not self.formula.write(condition):
            text, statement = condition.span.text, self.attachment.span
            values = tuple(self._values(condition))
            raise SpecError([RequirementFailed(condition.span, statement, text, self.site, values)])

    def _values(self, condition: syntax.Expression) -> Iterator[tuple[str, object]]:
        """The numbers that a condition names, each once."""
        used = (node.name for node in syntax.walk(condition) if isinstance(node, syntax.Name))
        for name in dict.fromkeys(used):
            if name in self.numbers:
                yield name, self.numbers[name]

    def _check(self, span: Span, check: Callable[..., None], *args: object) -> None:
        """Raise SpecError where something is more than a method may ask for."""
        try:
            check(*args)
        except ValueError as error:
            raise SpecError([FormulaFailed(span, str(error))]) from error

    def _tensor(self, item: syntax.Tensor) -> Declared:
        shape = tuple(self._size(expression) for expression in item.shape)
        self._check(item.span, check_entries, shape)
        return Declared(
            item.name,
            shape,
            tuple(axis_name(expression) for expression in item.shape),
            item.frozen,
            item.scope,
            item.value,
            self._distribution(item.distribution),
            self._seed(item.seed),
            item.span,
        )

    def _affine(self, item: syntax.Affine) -> None:
        source, target = self._size(item.source), self._size(item.target)
        self._check(item.span, check_entries, (source, target))
        names = (axis_name(item.target), axis_name(item.source))
        self.maps.append(item.name)
        drawn = self._distribution(item.distribution)
        common = (item.frozen, item.scope)
        weight = (f"{item.name}.weight", (target, source), names, *common, item.value, drawn)
        zero = syntax.Number(0, item.span)
        bias = (f"{item.name}.bias", (target,), names[:1], *common, zero, None)
        self.tensors.append(Declared(*weight, self._seed(item.seed), item.span))
        self.tensors.append(Declared(*bias, None, item.span))

    def _network(self, item: syntax.Module) -> None:
        """`R: lstm(input, hidden, layers, both)`, drawn as `torch.nn.LSTM` draws its tensors."""
        sizes: dict[str, object] = {"layers": 1, "both": False}
        order = MODULES["lstm"].parameters
        for place, argument in enumerate(item.call.arguments):
            is_flag = isinstance(argument.value, syntax.Name) and argument.value.name == "both"
            name = "both" if is_flag else argument.name or order[place]
            sizes[name] = is_flag or self.formula.write(argument.value)
        inputs, hidden, layers = (
            int(sizes[name])  # pyright: ignore[reportArgumentType]
            for name in ("input", "hidden", "layers")
        )
        network = Network(inputs, hidden, layers, bool(sizes["both"]))
        self._check(item.call.span, check_most, "tensors", network.count, MOST_TENSORS)
        self.networks[item.name] = network
        bound = 1 / sqrt(network.hidden)
        for part, shape in network.shapes:
            name, names = f"{item.name}.{part}", (None,) * len(shape)
            self._check(item.call.span, check_entries, shape)
            drawn = ("uniform", (-bound, bound))
            rest = (item.scope, None, drawn, None, item.span)
            self.tensors.append(Declared(name, shape, names, False, *rest))  # noqa: FBT003

    def _size(self, expression: syntax.Expression) -> int:
        value = self.formula.size(expression)
        least = 0 if isinstance(expression, syntax.Name) and expression.name in self.lengths else 1
        is_whole = isinstance(value, int | float) and value == int(value) and value >= least
        if not is_whole:
            found = f"{value:g}" if isinstance(value, int | float) else "not a number"
            raise SpecError([WrongSize(expression.span, found, self.site)])
        return int(value)  # pyright: ignore[reportArgumentType]

    def _distribution(
        self, drawn: syntax.Expression | None
    ) -> tuple[str, tuple[object, ...]] | None:
        match drawn:
            case None:
                return None
            case syntax.Name(name) if name in _DISTRIBUTIONS:
                return name, ()
            case syntax.Call(syntax.Name(name), (syntax.Argument(value=inner),)) if name == PAIRED:
                drawn_of, values = self._distribution(inner) or ("", ())
                return name, (drawn_of, *values)
            case syntax.Call(syntax.Name(name), arguments) if name in _DISTRIBUTIONS:
                return name, tuple(self.formula.write(argument.value) for argument in arguments)
            case syntax.Call(syntax.Name(name) as function):
                raise SpecError([NotLowered(function.span, f"`{name}`")])
            case _:
                raise SpecError([NotLowered(drawn.span, "this distribution")])

    def _seed(self, expression: syntax.Expression | None) -> int | None:
        return None if expression is None else int(self.formula.write(expression))  # pyright: ignore[reportArgumentType]


def _bound(
    names: tuple[str, ...], values: tuple[syntax.Expression, ...]
) -> Iterator[tuple[str, syntax.Expression]]:
    """Each name with its value; of a single value that is taken apart, with its part."""
    if len(names) == len(values):
        yield from zip(names, values, strict=True)
        return
    (whole,) = values
    for place, name in enumerate(names):
        yield name, syntax.Index(whole, (syntax.Number(place, whole.span),), whole.span)


def axis_name(size: syntax.Expression) -> str | None:
    """The dim that an axis stands for: `in` in `[r, in]` and in `[r, max in]`."""
    match size:
        case syntax.Name(name) | syntax.Largest(syntax.Name(name)):
            return name
        case _:
            return None
