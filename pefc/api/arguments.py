"""Specs as users hand them over: a text, what `parse` or `read` gave, or what `check` gave."""

from collections.abc import Mapping

from ..compiler.model import check_spec
from ..dsl.checked import Checked, Value, check_values
from ..dsl.checker.check import check
from ..dsl.parsing import parse
from ..dsl.syntax.source import Source
from ..dsl.syntax.statement import Spec


def checked_spec(
    spec: Spec | Checked | str, params: Mapping[str, Value], tasks: tuple[str, ...] = ()
) -> Checked:
    """The spec, checked; `tasks` are those that a model has already.

    Raises SpecError with every mistake, and TypeError or ValueError where it is no spec.
    """
    check_spec(spec)
    values = check_values("params", params)
    if isinstance(spec, Checked):
        if values:
            raise ValueError(
                "`params` come too late for a spec that is checked: give `overrides` there"
            )
        return spec
    tree = parse(Source("<spec>", spec)) if isinstance(spec, str) else spec
    return check(tree, overrides=values, tasks=tasks)
