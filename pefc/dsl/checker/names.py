"""What the name of a method means in a file: a method behind its aliases, a recipe, or nothing."""

from dataclasses import replace
from pathlib import Path

from .. import diagnostics
from ..parsing import library
from ..syntax.method import Affine, Alias, Method, MethodItem, Module, Tensor, Tune, When
from ..syntax.source import Span
from ..syntax.statement import Recipe
from ..syntax.vocabulary import RESERVED
from .arguments import bind
from .parameters import alias_table, method_table
from .scope import Definition, Run, Scope, Usable

LONGEST = 32
"""Aliases of aliases."""
STANDARD = Scope(Path())
"""The file that the standard library is written in, as it were."""


def meaning(
    name: str, span: Span, scope: Scope, run: Run, *, trail: tuple[str, ...] = ()
) -> Usable | Recipe | None:
    """What a statement uses under a name; None after a mistake, which is reported.

    `trail` holds the aliases that lead here.
    """
    if name not in scope.usable:
        scope.usable[name] = _resolve(name, span, scope, run, trail)
    elif scope.usable[name] is None and defined(name, scope) is None:
        run.found.append(diagnostics.UnknownMethod(name, span, known(scope)))
    return scope.usable[name]


def defined(name: str, scope: Scope) -> tuple[Definition, Scope] | None:
    """The definition of a name with the file that it is written in."""
    found = scope.definitions.get(name)
    if found is not None:
        return found
    standard = library.definition(name)
    return None if standard is None else (standard, STANDARD)


def known(scope: Scope) -> tuple[str, ...]:
    """Every name that a statement may use."""
    return (*scope.definitions, *library.names(), *RESERVED)


def _resolve(
    name: str, span: Span, scope: Scope, run: Run, trail: tuple[str, ...]
) -> Usable | Recipe | None:
    found = defined(name, scope)
    if found is None:
        run.found.append(diagnostics.UnknownMethod(name, span, known(scope)))
        return None
    definition, home = found
    match definition:
        case Recipe():
            return definition
        case Method():
            return Usable(definition, method_table(definition), trained(definition.body))
        case Alias():
            return _behind(definition, home, run, (*trail, name))


def _behind(alias: Alias, home: Scope, run: Run, trail: tuple[str, ...]) -> Usable | None:
    name, span = alias.base.name, alias.base.name_span
    if name in trail:
        run.circle((*trail[trail.index(name) :], name), span)
        return None
    if len(trail) > LONGEST:
        run.found.append(diagnostics.NestedTooDeep(alias.span))
        return None
    base = meaning(name, span, home, run, trail=trail)
    if base is None:
        return None
    if isinstance(base, Recipe):
        run.found.append(diagnostics.AliasOfRecipe(alias.name, name, span))
        return None
    table = base.table
    some = replace(table, required=frozenset())  # what an alias leaves open, its use gives
    given = bind(alias.base, some, constants=home.constants, found=run.found)
    own = dict(given[len(table.fixed) :])
    return Usable(base.method, alias_table(alias, table, own), base.tensors)


def trained(body: tuple[MethodItem, ...]) -> tuple[str, ...]:
    """The names of the tensors that a method trains."""
    names: list[str] = []
    for item in body:
        match item:
            case Tensor(frozen=False) | Affine(frozen=False) | Module():
                names.append(item.name)
            case Tune(parameters):
                names += [parameter.name for parameter in parameters]
            case When(then=then, otherwise=otherwise):
                names += [*trained(then), *trained(otherwise)]
            case _:
                pass
    return tuple(dict.fromkeys(names))
