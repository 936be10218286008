"""`drift(e)` is e minus its value when the method was attached: the tensors of e as they were then
stay beside the ones that train, so that the base is what it was.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from ....dsl import syntax
from .declarations import Declared

DRIFT = "drift"
_START = "_start"


def starts(tensors: Sequence[Declared], rules: Sequence[syntax.Rule]) -> list[Declared]:
    """A frozen copy of each tensor that stands in a drift."""
    drifting = {name for rule in rules for name in _drifting(rule)}
    return [
        replace(
            tensor,
            name=start(tensor.name),
            frozen=True,
            value=syntax.Name(tensor.name, tensor.span),
            distribution=None,
            seed=None,
        )
        for tensor in tensors
        if tensor.name in drifting and not tensor.frozen
    ]


def start(name: str) -> str:
    """The name of a tensor as it was."""
    return f"{name}{_START}"


def started(name: str) -> str | None:
    """The name of the tensor that another is as it was; None where it is no such copy."""
    return name.removesuffix(_START) if name.endswith(_START) else None


def _drifting(rule: syntax.Rule) -> Iterator[str]:
    for node in syntax.walk(rule):
        match node:
            case syntax.Call(syntax.Name(name)) if name == DRIFT:
                yield from (n.name for n in syntax.walk(node) if isinstance(n, syntax.Name))
            case _:
                pass
