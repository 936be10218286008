"""Random compositions: several methods of the library, with random arguments, stacked at a site."""

from collections.abc import Sequence

from hypothesis import assume, reject
from hypothesis import strategies as st

import pefc
from pefc.compiler.lower.method.signatures import LinearFacts
from pefc.dsl import syntax
from pefc.dsl.parsing import library

from .formulas import Case, case, has_lowering

WIDTHS = st.sampled_from([4, 6, 8, 12, 16])
NOT_HERE = {"requirement-failed", "wrong-size", "no-bias", "not-lowered", "formula-failed"}
"""What arguments or a composition may run into at a site."""
_NUMBERS = {
    "r": st.sampled_from([1, 2, 2, 3, 4, 6, 8]),
    "k": st.sampled_from([1, 2, 3]),
    "n": st.integers(1, 16),
    "size": st.sampled_from([1, 2, 4]),
    "group": st.sampled_from([2, 4, 6]),
    "factor": st.sampled_from([-1, 1, 2, 3]),
    "key": st.integers(0, 3),
    "target": st.just(1),
    "steps": st.just(9),
}
"""Whole numbers that suit small widths; those that say when ranks shrink keep their defaults."""
_FACTORS = st.sampled_from([0.5, 1.0, 3.0, 5.0])


def linear_methods() -> list[str]:
    """The methods of the library that change what a linear map computes."""
    found = {name: library.method(name) for name in library.names()}
    return sorted(
        name
        for name, method in found.items()
        if method is not None
        and method.name == name
        and method.site in {"linear", "any"}
        and any(isinstance(item, syntax.Rule | syntax.When) for item in method.body)
    )


def adders() -> list[str]:
    """Those that add something to the weight."""
    return [name for name in linear_methods() if any(map(_adds, _items(name)))]


def readers() -> list[str]:
    """Those whose rules read the weight that they find."""
    return [name for name in linear_methods() if any(map(_reads, _items(name)))]


def _items(name: str) -> tuple[syntax.MethodItem, ...]:
    method = library.method(name)
    assert method is not None
    return method.body


def _adds(item: syntax.MethodItem) -> bool:
    return isinstance(item, syntax.Rule) and (item.target, item.operator) == ("weight", "+=")


def _reads(item: syntax.MethodItem) -> bool:
    names = (node.name for node in syntax.walk(item) if isinstance(node, syntax.Name))
    return isinstance(item, syntax.Rule | syntax.Let) and "W" in names


@st.composite
def calls(draw: st.DrawFn, names: list[str], *, dropped: bool = True) -> str:
    """A method with arguments, each of which is given or left at its default."""
    name = draw(st.sampled_from(names))
    method = library.method(name)
    assert method is not None
    given: list[str] = []
    for parameter in method.parameters:
        value = _argument(draw, parameter)
        if value is not None and (dropped or parameter.name != "dropout"):
            given.append(f"{parameter.name}={value}")
    return f"{name}({', '.join(given)})"


def _argument(draw: st.DrawFn, parameter: syntax.Parameter) -> object:
    match parameter.type:
        case syntax.Enumeration(members):
            return draw(st.sampled_from(members))
        case syntax.NamedType("bool"):
            return draw(st.sampled_from(["true", "false"]))
        case syntax.NamedType("prob"):
            return draw(st.sampled_from([0, 0.5])) if parameter.name == "dropout" else None
        case syntax.NamedType("float"):
            return draw(st.none() | _FACTORS)
        case _:
            return draw(_NUMBERS[parameter.name]) if parameter.name in _NUMBERS else None


@st.composite
def compositions(
    draw: st.DrawFn, *, least: int = 2, names: Sequence[str] = (), sliced: bool = True
) -> Case:
    """Up to four methods of the library on one module, whole or on rows of it; or sums, and a
    method that reads them, as often as not by its norms.
    """
    facts = LinearFacts(draw(WIDTHS), draw(WIDTHS), draw(st.booleans()), draw(st.booleans()))
    if names or draw(st.booleans()):
        one = calls(list(names) or linear_methods())
        chosen = draw(st.lists(one, min_size=least, max_size=4))
        rows = st.sampled_from(_slices(facts.outputs) if sliced else (None,))
        slices = [draw(rows) for _ in chosen]
    else:
        below = calls(adders(), dropped=False)
        chosen = draw(st.lists(below, min_size=1, max_size=2))
        norms = calls(["dora"], dropped=False)
        chosen.append(draw(norms | calls(readers(), dropped=False)))
        slices = [None] * len(chosen)
    spec = "\n".join(f"{call} on linear as m{number}" for number, call in enumerate(chosen))
    try:
        found = case(facts, spec, tuple(slices))
    except pefc.SpecError as error:
        if not {diagnostic.code() for diagnostic in error.diagnostics} <= NOT_HERE:
            raise
        reject()
    assume(has_lowering(found, NOT_HERE))
    return found


def _slices(outputs: int) -> tuple[tuple[tuple[int, int], ...] | None, ...]:
    half = outputs // 2
    return (None, None, None, ((0, half),), ((half - 2, half), (half, outputs)))
