"""The standard library: one method or recipe a file of the language, read when it is first asked
for.
"""

from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from ..syntax.method import Alias, Method
from ..syntax.source import Source
from ..syntax.statement import Recipe
from .parser import parse

Definition = Method | Alias | Recipe


@cache
def names() -> tuple[str, ...]:
    """The names of all methods and recipes that ship, sorted."""
    entries = (entry.name for entry in _folder().iterdir())
    return tuple(sorted(name.removesuffix(".peft") for name in entries if name.endswith(".peft")))


@cache
def definition(name: str) -> Definition | None:
    """What the library defines under a name."""
    if name not in names():
        return None
    text = (_folder() / f"{name}.peft").read_text(encoding="utf-8")
    (statement,) = parse(Source(f"std/{name}.peft", text)).statements
    assert isinstance(statement, Method | Alias | Recipe), name
    assert statement.name == name, name
    return statement


def method(name: str) -> Method | None:
    """The method of a name, or the one behind an alias."""
    found = definition(name)
    if isinstance(found, Alias):
        return method(found.base.name)
    return found if isinstance(found, Method) else None


def recipe(name: str) -> Recipe | None:
    """The recipe of a name."""
    found = definition(name)
    return found if isinstance(found, Recipe) else None


@cache
def _folder() -> Traversable:
    return files("pefc") / "grammar" / "std"
