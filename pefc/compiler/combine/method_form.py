"""What the formula of a method says of its tensors: which are factors of a product, with what
scale, which are frozen, and where they start.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch

from ...dsl import syntax
from ...dsl.checked import Attachment, Value
from ...dsl.diagnostics.report import SpecError
from ...dsl.evaluation import evaluate, truth

Constants = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Form:
    """A method with its arguments at a site: the items that stand, and the numbers it names."""

    attachment: Attachment
    dims: Mapping[str, int]
    constants: Constants
    items: tuple[syntax.MethodItem, ...]

    @property
    def lets(self) -> dict[str, syntax.Expression]:
        return {
            name: value
            for item in self.items
            if isinstance(item, syntax.Let) and len(item.names) == len(item.values)
            for name, value in zip(item.names, item.values, strict=True)
        }

    def with_arguments(self, arguments: Mapping[str, Value]) -> "Form":
        """The same method with other arguments."""
        order = [parameter.name for parameter in self.attachment.method.parameters]
        given = tuple((name, arguments[name]) for name in order if name in arguments)
        return form(replace(self.attachment, arguments=given), self.dims)

    def is_frozen(self, path: str) -> bool:
        """Whether a tensor does not train."""
        item = self._item(path)
        return item is not None and item.frozen

    def start(self, path: str, like: torch.Tensor) -> torch.Tensor:
        """The value that a tensor starts with, where it is a number or `eye(n)`; else zero."""
        item = self._item(path)
        match item:
            case syntax.Tensor(value=syntax.Call(syntax.Name("eye"))) if like.ndim == 2:
                return torch.eye(*like.shape, dtype=like.dtype)
            case syntax.Tensor(value=value) if value is not None:
                found = number(value, self.constants)
                return torch.full_like(like, 0.0 if found is None else found)
            case _:
                return torch.zeros_like(like)

    def _item(self, path: str) -> syntax.Tensor | syntax.Affine | None:
        for item in self.items:
            if isinstance(item, syntax.Tensor) and path.endswith(f".{item.name}"):
                return item
            if isinstance(item, syntax.Affine) and path.rpartition(".")[0].endswith(
                f".{item.name}"
            ):
                return item
        return None


def form(attachment: Attachment, dims: Mapping[str, int]) -> Form:
    """The method of a statement, with its arguments and the dims of a site."""
    constants: dict[str, Value] = dict(dims)
    given = dict(attachment.arguments)
    parameters = attachment.method.parameters
    for parameter in parameters:
        if isinstance(parameter.type, syntax.Enumeration):
            constants.update({member: member for member in parameter.type.members})
    for parameter in parameters:
        value = given.get(parameter.name)
        if value is None and parameter.default is not None:
            value = _value(parameter.default, constants)
        if value is not None:
            constants[parameter.name] = value
    items = tuple(_chosen(attachment.method.body, constants))
    return Form(attachment, dims, constants, items)


def dims(method: syntax.Method, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """The dims that the shapes of a method's tensors show, `in` and `out` among them."""
    parameters = {parameter.name for parameter in method.parameters}
    found: dict[str, int] = {}
    for item in syntax.walk(method):
        if not isinstance(item, syntax.Tensor) or len(shapes.get(item.name, ())) != len(item.shape):
            continue
        for axis, size in zip(item.shape, shapes[item.name], strict=True):
            if isinstance(axis, syntax.Name) and axis.name not in parameters:
                found.setdefault(axis.name, size)
    return found


def number(expression: syntax.Expression, constants: Constants) -> float | None:
    """The value of an expression that is a number."""
    value = _value(expression, constants)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def _value(expression: syntax.Expression, constants: Constants) -> Value | None:
    try:
        return evaluate(expression, constants)
    except SpecError:
        return None


def _chosen(
    items: tuple[syntax.MethodItem, ...], constants: Constants
) -> Iterator[syntax.MethodItem]:
    """The items that stand after every `if` is decided."""
    for item in items:
        if isinstance(item, syntax.When):
            part = item.then if truth(item.test, constants, "if") else item.otherwise
            yield from _chosen(part, constants)
        else:
            yield item
