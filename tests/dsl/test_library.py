"""The standard library checks cleanly, and each file defines what its name says."""

import pytest

from pefc.dsl.checker.check import check, check_library
from pefc.dsl.parsing import library
from pefc.dsl.parsing.parser import parse
from pefc.dsl.syntax.method import Alias, Method
from pefc.dsl.syntax.source import Source
from pefc.dsl.syntax.statement import Recipe
from pefc.dsl.syntax.vocabulary import SITES


def test_library_has_no_mistakes() -> None:
    assert check_library() == ()


def test_every_file_defines_its_name() -> None:
    found = {name: library.definition(name) for name in library.names()}
    assert {
        name for name, d in found.items() if not isinstance(d, Method | Alias | Recipe)
    } == set()
    assert [name for name, definition in found.items() if definition.name != name] == []
    documented = (d for d in found.values() if not isinstance(d, Alias))
    assert [definition.name for definition in documented if definition.documentation is None] == []


USES = {
    "adapter_fusion": "task a { adapter on ffn }\ntask b { adapter on ffn }\nfuse(a, b) on ffn",
    "adalora": "adalora(steps=100) on linear",
}
"""How those are used that need more than a name and a place."""


@pytest.mark.parametrize("name", library.names())
def test_every_definition_can_be_used_as_it_is(name: str) -> None:
    method = library.method(name)
    place = "" if method is None or SITES[method.site].selector != "required" else " on linear"
    text = USES.get(name, name + place)
    assert check(parse(Source("<use>", text))).steps


def test_aliases_are_resolved() -> None:
    assert library.method("rslora") is library.method("lora")
    assert library.method("pfeiffer") is library.method("adapter")
    assert library.method("prefix_mlp") is library.method("prefix")
    assert library.method("mam") is None
    assert library.recipe("mam") is not None
    assert library.method("nothing") is None
