"""Recipes become the statements inside them, with arguments in place of parameters."""

from collections.abc import Mapping

from ..checked import Value
from ..diagnostics.report import SpecError
from ..evaluation import evaluate
from ..syntax.method import Use
from ..syntax.statement import Recipe, Statement
from .arguments import bind
from .names import defined
from .parameters import Table, recipe_table
from .scope import Run, Scope
from .substitution import substitute


def expanded(
    use: Use, recipe: Recipe, scope: Scope, run: Run
) -> tuple[tuple[Statement, ...], Scope] | None:
    """The statements that a use of a recipe stands for, and the file that they are written in."""
    if recipe.name in run.expanding:
        run.circle((*run.expanding[run.expanding.index(recipe.name) :], recipe.name), use.name_span)
        return None
    run.expanded.add(id(recipe))
    table = recipe_table(recipe)
    before = len(run.found)
    given = dict(bind(use, table, constants=scope.constants, found=run.found))
    if len(run.found) > before:
        return None
    found = defined(use.name, scope)
    assert found is not None, use.name
    home = found[1]
    values = _with_defaults(recipe, given, home, run)
    return substitute(recipe.body, values, via=use.span, members=table.members), home


def rehearsed(recipe: Recipe, scope: Scope, run: Run) -> tuple[Statement, ...]:
    """The statements of a recipe that nothing used, with its defaults, and stand-ins where there
    are none.
    """
    table = recipe_table(recipe)
    given = {name: _stand_in(table, name) for name in table.required}
    values = _with_defaults(recipe, given, scope, run)
    return substitute(recipe.body, values, members=table.members)


def _with_defaults(
    recipe: Recipe, given: Mapping[str, Value], home: Scope, run: Run
) -> dict[str, Value]:
    """Every parameter with its value; a default may name the parameters before it."""
    values: dict[str, Value] = {}
    members = {name: name for name in recipe_table(recipe).members}
    for parameter in recipe.parameters:
        name = parameter.name
        if name in given:
            values[name] = given[name]
        elif parameter.default is not None:
            try:
                values[name] = evaluate(parameter.default, {**members, **home.constants, **values})
            except SpecError as error:
                run.found.extend(error.diagnostics)
                values[name] = 1
    return values


def _stand_in(table: Table, name: str) -> Value:
    kind = table.types[name]
    if not isinstance(kind, str):
        return kind[0]
    stand_ins: dict[str, Value] = {
        "prob": 0,
        "bool": False,
        "string": "",
        "range": range(1),
        "list": (),
    }
    return stand_ins.get(kind, 1)
