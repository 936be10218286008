"""Parameters of a method, recipe or modifier, as a table that arguments are bound against."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

from ..checked import Value
from ..diagnostics.suggestions import listing
from ..syntax.expression import Binary, Bool, Call, Expression, Name, Number, Range, Sequence, Text
from ..syntax.method import (
    Affine,
    Alias,
    Enumeration,
    Indices,
    Method,
    MethodItem,
    NamedType,
    Parameter,
    Shrink,
    Tensor,
    When,
)
from ..syntax.statement import Recipe
from ..syntax.vocabulary import BUILTINS, MEANINGS, POLICIES

Type = str | tuple[str, ...]
"""The name of a type, or the members of an enumeration."""

WORDS = {
    "int": "an integer",
    "float": "a number",
    "prob": "a probability",
    "bool": "true or false",
    "string": "a string",
    "range": "a range such as `0..5`",
    "list": "a list",
    "method": "a method",
    "methods": "methods",
    "value": "a value",
}


@dataclass(frozen=True, slots=True)
class Table:
    """What may be given to a method, recipe or modifier."""

    owner: str
    types: dict[str, Type]
    """The parameters in their order."""
    required: frozenset[str]
    sizes: frozenset[str] = frozenset()
    """Parameters that are a size of a tensor."""
    members: frozenset[str] = frozenset()
    """Every member of every enumeration, which may be given bare."""
    texts: frozenset[str] = frozenset()
    """Parameters that take a member of an enumeration or any string."""
    fixed: tuple[tuple[str, Value], ...] = ()
    """What an alias gives already."""
    base: str = ""
    """The method behind an alias."""
    meanings: tuple[tuple[str, str], ...] = ()
    """What parameters are that must be given."""


def words(kind: Type) -> str:
    """A type as a message says it."""
    return WORDS[kind] if isinstance(kind, str) else f"one of {listing(kind)}"


def type_of(parameter: Parameter) -> Type:
    """The type that is written, else that of the default."""
    match parameter.type:
        case Enumeration(members):
            return members
        case NamedType(name):
            return name if name in WORDS else "value"
        case None:
            return _type_of_default(parameter)


def takes_text(parameter: Parameter) -> bool:
    """Whether a parameter takes any string besides its members."""
    return isinstance(parameter.type, Enumeration) and parameter.type.text


def method_table(method: Method) -> Table:
    """The table of a method."""
    table = _table(method.name, method.parameters, _sizes(method))
    return replace(table, meanings=tuple(_meanings(method.body)))


def recipe_table(recipe: Recipe) -> Table:
    """The table of a recipe."""
    return _table(recipe.name, recipe.parameters, frozenset())


def alias_table(alias: Alias, base: Table, fixed: dict[str, Value]) -> Table:
    """The table of an alias: that of its base without what the alias gives."""
    types = {name: kind for name, kind in base.types.items() if name not in fixed}
    return Table(
        alias.name,
        types,
        base.required.difference(fixed),
        base.sizes,
        _members(types),
        base.texts,
        (*base.fixed, *fixed.items()),
        alias.base.name,
        base.meanings,
    )


@cache
def builtin_table(name: str) -> Table:
    """The table of `gate`, `adapterdrop` or `quantize`."""
    rows = BUILTINS[name]
    types: dict[str, Type] = {row[0]: row[1] for row in rows}
    required = frozenset(row[0] for row in rows if row[2] is None)
    return Table(name, types, required, members=_members(types))


def _table(owner: str, parameters: tuple[Parameter, ...], sizes: frozenset[str]) -> Table:
    types = {parameter.name: type_of(parameter) for parameter in parameters}
    required = frozenset(entry.name for entry in parameters if entry.default is None)
    texts = frozenset(entry.name for entry in parameters if takes_text(entry))
    return Table(owner, types, required, sizes, _members(types), texts)


def _members(types: dict[str, Type]) -> frozenset[str]:
    return frozenset(
        member for kind in types.values() if not isinstance(kind, str) for member in kind
    )


def _type_of_default(parameter: Parameter) -> Type:
    match parameter.default:
        case Bool():
            return "bool"
        case Text():
            return "string"
        case Range():
            return "range"
        case Sequence():
            return "list"
        case Number():
            return "float"
        case _:
            return "value"


def _sizes(method: Method) -> frozenset[str]:
    parameters = {parameter.name for parameter in method.parameters}
    return frozenset(name for name in _size_names(method.body) if name in parameters)


def _size_names(body: tuple[MethodItem, ...]) -> list[str]:
    """Names that are a whole item of a shape."""
    found: list[str] = []
    for item in body:
        match item:
            case Tensor(shape=shape):
                found += [size.name for size in shape if isinstance(size, Name)]
            case Affine(source=source, target=target):
                found += [size.name for size in (source, target) if isinstance(size, Name)]
            case Indices(shapes=shapes):
                found += [size.name for shape in shapes for size in shape if isinstance(size, Name)]
            case When(test=test, then=then, otherwise=otherwise):
                guarded = [name for name in _size_names(then) if not _guards(test, name)]
                found += [*guarded, *_size_names(otherwise)]
            case _:
                pass
    return found


def _meanings(body: tuple[MethodItem, ...]) -> Iterator[tuple[str, str]]:
    """What parameters say that are handed on to the policy of a `shrink`."""
    for item in body:
        match item:
            case Shrink(policy=Call(Name(policy), arguments)) if policy in POLICIES:
                names = POLICIES[policy].parameters
                for place, argument in zip(names, arguments, strict=False):
                    meaning = MEANINGS.get(argument.name or place)
                    if meaning is not None and isinstance(argument.value, Name):
                        yield argument.value.name, meaning
            case When(then=then, otherwise=otherwise):
                yield from _meanings((*then, *otherwise))
            case _:
                pass


def _guards(test: Expression, name: str) -> bool:
    """Whether a test keeps sizes below 1 out: `mlp > 0`."""
    match test:
        case Binary(">", Name(guarded), Number(least)):
            return guarded == name and least >= 0
        case _:
            return False
