"""What a method is at the sites of one size: numbers, tensors, and the items that stand."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

from ....dsl import syntax
from ....dsl.checked import Attachment
from ...ops import Network
from .declarations import Declared
from .rank_allocation import Shrinking


@dataclass(frozen=True, slots=True)
class Elaborated:
    """What a method is at the sites of one size."""

    attachment: Attachment
    numbers: Mapping[str, object]
    """Hyper-parameters and dims."""
    largest: Mapping[str, int]
    tensors: tuple[Declared, ...]
    maps: tuple[str, ...]
    """The names of declared affine maps, whose tensors are `NAME.weight` and `NAME.bias`."""
    lets: Mapping[str, syntax.Expression]
    inits: Mapping[str, syntax.Expression]
    """What initial values may name besides, computed once."""
    networks: Mapping[str, Network]
    """Declared recurrent networks, whose tensors are `NAME.weight_ih_l0` and so on."""
    rules: tuple[syntax.Rule, ...]
    extends: tuple[syntax.Extend, ...]
    losses: tuple[syntax.Expression, ...]
    """What the method adds to the loss."""
    shift: int
    """By how much the positions of the text's tokens grow."""
    tunes: tuple[str, ...]
    """`weight` or `bias`: the site's own parameters that train."""
    lengths: Mapping[str, int]
    """What the sizes of axes are that have lost ranks, by the parameter that they had."""
    shrinking: Shrinking | None
    """How ranks are allocated; None where they stay."""
    states: tuple[Declared, ...]
    """The buffers of that, which no formula names."""

    @property
    def reads_weight(self) -> bool:
        """A formula names W, or replaces the weight."""
        values = (tensor.value for tensor in self.tensors if tensor.value is not None)
        parts = (*self.rules, *self.lets.values(), *self.inits.values(), *values)
        return any(_reads_weight(node) for part in parts for node in syntax.walk(part))

    def without(self, dim: str) -> Self:
        """The method with a dim forgotten, where no formula names it; else the method itself."""
        values = (tensor.value for tensor in self.tensors if tensor.value is not None)
        parts = (*self.rules, *self.extends, *self.lets.values(), *values)
        nodes = (node for part in parts for node in syntax.walk(part))
        if any(isinstance(node, syntax.Name) and node.name == dim for node in nodes):
            return self
        return replace(self, numbers={n: v for n, v in self.numbers.items() if n != dim})


def _reads_weight(node: object) -> bool:
    match node:
        case syntax.Name("W") | syntax.Rule("weight", "=" | "*="):
            return True
        case _:
            return False
