"""Low-rank products: methods that are `weight += s * B @ A` and nothing else, by their formula."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose, prod

from ...dsl import syntax
from ...dsl.checked import Value
from .method_form import Form, number

_Factors = list[tuple[syntax.Expression, int]]
"""Each with its power, 1 or -1."""


@dataclass(frozen=True, slots=True)
class Product:
    """`weight += s * B @ A` with B: [out, r] and A: [r, in]."""

    left: str
    right: str
    rank: str
    """The parameter that is the inner size."""
    scale: float


@dataclass(frozen=True, slots=True)
class Unlike:
    """Why a method is no such product."""

    reason: str


def product(form: Form) -> Product | Unlike:
    """What a method adds to the weight, if that is a product of two of its tensors."""
    kept = [item for item in form.items if not isinstance(item, syntax.Let | syntax.Require)]
    tensors = {item.name: item for item in kept if isinstance(item, syntax.Tensor)}
    rules = [item for item in kept if isinstance(item, syntax.Rule)]
    if len(kept) != 3 or len(tensors) != 2 or len(rules) != 1:
        return Unlike("it is no product of two tensors alone")
    (rule,) = rules
    if rule.target != "weight" or rule.operator not in {"+=", "-="} or rule.where is not None:
        return Unlike("it does not add a product to the weight")
    factors, products = _factors(rule.value, form)
    names = [part.name for part, _ in factors if isinstance(part, syntax.Name)]
    pair = [name for name in names if name in tensors]
    if products != 1 or sorted(pair) != sorted(tensors):
        return Unlike("its rule is not `weight += s * B @ A`")
    numbers = [
        None if value is None or (value == 0 and power < 0) else value**power
        for part, power in factors
        if not (isinstance(part, syntax.Name) and part.name in tensors)
        for value in [number(part, form.constants)]
    ]
    rank = _rank(form, tensors[pair[0]], tensors[pair[1]])
    if rank is None:
        return Unlike("its rank is no parameter that the shapes of its tensors show")
    if None in numbers:
        return Unlike("its scale is no number")
    sign = -1.0 if rule.operator == "-=" else 1.0
    return Product(pair[0], pair[1], rank, sign * prod(n for n in numbers if n is not None))


def scaled_to_one(form: Form, found: Product, rank: int) -> Mapping[str, Value]:
    """The arguments for another rank, with the scale 1 if some parameter is a factor of it.

    What remains of the scale is for the tensors to take.
    """
    given = dict(form.attachment.arguments) | {found.rank: rank}
    for parameter in form.attachment.method.parameters:
        kind = parameter.type
        if not isinstance(kind, syntax.NamedType) or kind.name != "float":
            continue
        name = parameter.name
        rest = {other: value for other, value in given.items() if other != name}
        if parameter.default is not None and scale(form, rest) == 1:
            return rest
        one, two = (scale(form, rest | {name: tried}) for tried in (1.0, 2.0))
        if one is not None and two is not None and one != 0 and isclose(two, 2 * one):
            value = 1 / abs(one)
            whole = isclose(value, round(value)) and round(value) != 0
            return rest | {name: round(value) if whole else value}
    return given


def scale(form: Form, arguments: Mapping[str, Value]) -> float | None:
    """The scale that a method has with other arguments."""
    found = product(form.with_arguments(arguments))
    return found.scale if isinstance(found, Product) else None


def _rank(form: Form, left: syntax.Tensor, right: syntax.Tensor) -> str | None:
    """The parameter r of [out, r] and [r, in], where both tensors train and no site shares them."""
    if any(tensor.frozen or tensor.scope is not None for tensor in (left, right)):
        return None
    match left.shape, right.shape:
        case (syntax.Name("out"), syntax.Name(inner)), (syntax.Name(outer), syntax.Name("in")):
            parameters = {parameter.name for parameter in form.attachment.method.parameters}
            return inner if inner == outer and inner in parameters else None
        case _:
            return None


def _factors(value: syntax.Expression, form: Form) -> tuple[_Factors, int]:
    """The factors of a product, and how many `@` there are in it."""
    match value:
        case syntax.Binary("*" | "@" as operator, left, right):
            (first, some), (second, more) = _factors(left, form), _factors(right, form)
            return [*first, *second], some + more + (operator == "@")
        case syntax.Binary("/", left, right):
            factors, count = _factors(left, form)
            return [*factors, (right, -1)], count
        case syntax.Unary("-", operand):
            factors, count = _factors(operand, form)
            return [(syntax.Number(-1, value.span), 1), *factors], count
        case syntax.Name(name) if name in form.lets:
            return _factors(form.lets[name], form)
        case _:
            return [(value, 1)], 0
