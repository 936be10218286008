"""The definitions of a file and of the files that it imports."""

from pathlib import Path

from .. import diagnostics
from ..parsing import library
from ..syntax.expression import Name
from ..syntax.method import Alias, Method
from ..syntax.source import Span
from ..syntax.statement import Attach, Constant, Import, Modify, Recipe, Spec, Task, TuneStatement
from ..syntax.vocabulary import RESERVED
from ..syntax.walk import walk
from .constants import define
from .imports import locate, read
from .methods import check_method, check_parameters
from .names import meaning
from .scope import Definition, Run, Scope


def gather(spec: Spec, scope: Scope, run: Run) -> None:
    """Enters the definitions of a file and of its imports into its scope."""
    for statement in spec.statements:
        match statement:
            case Method() | Alias() | Recipe():
                _enter(statement, scope, run)
            case Import():
                _import(statement, scope, run)
            case _:
                pass


def check_definitions(spec: Spec, scope: Scope, run: Run) -> None:
    """Reports the mistakes inside the definitions of a file."""
    for statement in spec.statements:
        match statement:
            case Method() | Alias() | Recipe():
                check_definition(statement, scope, run)
            case _:
                pass


def check_definition(definition: Definition, scope: Scope, run: Run) -> None:
    """Reports the mistakes of one definition."""
    try:
        match definition:
            case Method():
                run.found.extend(check_method(definition))
            case Alias(name=name, name_span=span):
                meaning(name, span, scope, run)
            case Recipe():
                _recipe(definition, run)
    except RecursionError:
        run.found.append(diagnostics.NestedTooDeep(definition.span))


def _recipe(recipe: Recipe, run: Run) -> None:
    run.found.extend(check_parameters(recipe.parameters))
    if not recipe.body:
        run.found.append(diagnostics.EmptyBlock(f"the recipe `{recipe.name}`", recipe.name_span))
    used = {node.name for part in recipe.body for node in walk(part) if isinstance(node, Name)}
    used |= {
        node.name
        for parameter in recipe.parameters
        if parameter.default is not None
        for node in walk(parameter.default)
        if isinstance(node, Name)
    }
    run.found.extend(
        diagnostics.UnusedParameter(recipe.name, parameter.name, parameter.span)
        for parameter in recipe.parameters
        if parameter.name not in used and recipe.body
    )


def _enter(definition: Definition, scope: Scope, run: Run) -> None:
    name, span = definition.name, definition.name_span
    first = scope.definitions.get(name)
    if name in RESERVED:
        run.found.append(diagnostics.ReservedName(name, span, "a statement of the language"))
    elif name in library.names():
        run.found.append(
            diagnostics.ReservedName(name, span, "a method or recipe of the standard library")
        )
    elif first is not None:
        run.found.append(diagnostics.DuplicateDefinition(name, span, first[0].name_span))
    else:
        scope.definitions[name] = (definition, scope)


def _import(statement: Import, scope: Scope, run: Run) -> None:
    path = locate(statement, scope, run)
    if not isinstance(path, Path):
        run.found.append(path)
        return
    imported = run.files.get(path) or _load(statement, path, run)
    span = statement.path.span
    for name, (definition, home) in imported.definitions.items():
        if home is not imported:
            continue
        first = scope.definitions.get(name)
        if first is None:
            scope.definitions[name] = (definition, home)
        elif first[0] is not definition:
            run.found.append(diagnostics.DuplicateDefinition(name, span, first[0].name_span))


def _load(statement: Import, path: Path, run: Run) -> Scope:
    scope = run.files[path] = Scope(path)
    spec = read(statement, path, run)
    if not isinstance(spec, Spec):
        run.found.extend(spec)
        return scope
    run.open.append(path)
    gather(spec, scope, run)
    for entry in spec.statements:
        if isinstance(entry, Constant):
            define(entry, scope, run, overrides={})
    check_definitions(spec, scope, run)
    _only_definitions(spec, statement.path.span, run)
    run.open.pop()
    return scope


def _only_definitions(spec: Spec, importer: Span, run: Run) -> None:
    for statement in spec.statements:
        if isinstance(statement, Attach | TuneStatement | Modify | Task):
            run.found.append(diagnostics.StatementInImport(statement.span, importer))
