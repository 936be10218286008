"""Text of selectors and of the clauses that say where."""

from typing import assert_never

from ..syntax.expression import Range
from ..syntax.selector import (
    AnyOf,
    Both,
    ClassTerm,
    Except,
    Layers,
    Quoted,
    Selection,
    Selector,
    Term,
)
from .expression import COMMA, expression, text

_UNION, _DIFFERENCE, _INTERSECTION, _ATOM = 0, 1, 2, 3


def selector(node: Selector, level: int = _UNION) -> str:
    """The text of a selector in a place that takes what binds at least as tightly as `level`."""
    match node:
        case Term():
            return node.pattern + _mark(optional=node.optional)
        case AnyOf():
            joined = COMMA.join(selector(member, _DIFFERENCE) for member in node.members)
            return _within(joined, _UNION, level)
        case Quoted():
            return text(node.pattern) + _mark(optional=node.optional)
        case ClassTerm():
            return f":{node.name}{_mark(optional=node.optional)}"
        case Except():
            base = selector(node.base, _DIFFERENCE)
            joined = f"{base} except {selector(node.excluded, _INTERSECTION)}"
            return _within(joined, _DIFFERENCE, level)
        case Both():
            joined = f"{selector(node.left, _INTERSECTION)} & {selector(node.right, _ATOM)}"
            return _within(joined, _INTERSECTION, level)
        case Selection():
            inner = "" if node.selector is None else selector(node.selector)
            return f"({' '.join(part for part in (inner, *clauses(node)) if part)})"
        case _:
            assert_never(node)


def selection(node: Selection) -> str:
    """` on … in layers … where …`."""
    target = "" if node.selector is None else f" on {selector(node.selector)}"
    return target + "".join(f" {clause}" for clause in clauses(node))


def clauses(node: Selection) -> tuple[str, ...]:
    """The clauses that follow the selector."""
    found: tuple[str, ...] = ()
    if node.layers is not None:
        found += (layers(node.layers),)
    if node.where is not None:
        found += (f"where {expression(node.where)}",)
    return found


def layers(node: Layers) -> str:
    if not node.ranges:
        return "all layers"
    return f"in layers {COMMA.join(_range(entry) for entry in node.ranges)}"


def _range(node: Range) -> str:
    start = expression(node.start)
    return start if node.stop == node.start else f"{start}..{expression(node.stop)}"


def _mark(*, optional: bool) -> str:
    return "?" if optional else ""


def _within(inner: str, own: int, level: int) -> str:
    return f"({inner})" if own < level else inner
