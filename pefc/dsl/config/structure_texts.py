"""Which arguments of a structure are texts: those of parameters that take any string."""

from collections.abc import Mapping

from ..parsing import library
from ..syntax.method import Alias, Enumeration, Method
from ..syntax.statement import Recipe

Definitions = Mapping[str, Method | Alias | Recipe]
LONGEST = 32
"""Aliases of aliases."""


def free_parameters(name: str, own: Definitions) -> dict[str, tuple[str, ...]]:
    """The parameters of a method or recipe that take any string, with their members.

    `own` holds the definitions of the structure itself; others are those of the library.
    """
    definition = own.get(name) or library.definition(name)
    for _ in range(LONGEST):
        if not isinstance(definition, Alias):
            break
        base = definition.base.name
        definition = own.get(base) or library.definition(base)
    if not isinstance(definition, Method | Recipe):
        return {}
    return {
        parameter.name: parameter.type.members
        for parameter in definition.parameters
        if isinstance(parameter.type, Enumeration) and parameter.type.text
    }
