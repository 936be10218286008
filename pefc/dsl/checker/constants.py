"""`let` and `param`, evaluated from top to bottom; values from outside replace defaults."""

from collections.abc import Mapping

from .. import diagnostics
from ..checked import Value
from ..diagnostics.report import SpecError
from ..evaluation import describe, evaluate
from ..syntax.statement import Constant, Spec
from .scope import Run, Scope


def own_constants(spec: Spec) -> dict[str, Constant]:
    """The constants at the top level of a file."""
    found: dict[str, Constant] = {}
    for statement in spec.statements:
        if isinstance(statement, Constant):
            found.setdefault(statement.name, statement)
    return found


def define(constant: Constant, scope: Scope, run: Run, *, overrides: Mapping[str, Value]) -> None:
    """Gives a constant its value in a scope."""
    name, span = constant.name, constant.name_span
    first = scope.places.get(name)
    if first is not None:
        run.found.append(diagnostics.DuplicateDefinition(name, span, first))
        return
    scope.places[name] = span
    value: Value = 1
    try:
        value = evaluate(constant.value, scope.constants)
    except SpecError as error:
        run.found.extend(error.diagnostics)
    if constant.overridable and name in overrides:
        value = _override(constant, value, overrides[name], run)
    scope.constants[name] = value


def _override(constant: Constant, default: Value, given: Value, run: Run) -> Value:
    number = type(default) is float and type(given) is int
    if number or type(given) is type(default):
        return given
    expected = {
        int: "an integer",
        float: "a number",
        bool: "true or false",
        str: "a string",
        range: "a range",
        tuple: "a list",
    }[type(default)]
    span = constant.value.span
    run.found.append(diagnostics.WrongOverride(constant.name, describe(given), expected, span))
    return default
