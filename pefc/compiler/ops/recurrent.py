"""The builtin recurrent network of formulas: `R: lstm(d, h, layers=2, both)`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.fx import Graph, Node

from .node import axes, call


@dataclass(frozen=True, slots=True)
class Network:
    """The sizes of a network."""

    inputs: int
    hidden: int
    layers: int
    both: bool
    """It reads the sequence in both directions."""

    @property
    def count(self) -> int:
        """How many tensors it has."""
        return 4 * self.layers * (2 if self.both else 1)

    @property
    def shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """The names and shapes of its tensors, in the order and layout of `torch.nn.LSTM`."""
        directions = 2 if self.both else 1
        for layer in range(self.layers):
            inputs = self.inputs if layer == 0 else directions * self.hidden
            for suffix in ("", "_reverse")[:directions]:
                yield f"weight_ih_l{layer}{suffix}", (4 * self.hidden, inputs)
                yield f"weight_hh_l{layer}{suffix}", (4 * self.hidden, self.hidden)
                yield f"bias_ih_l{layer}{suffix}", (4 * self.hidden,)
                yield f"bias_hh_l{layer}{suffix}", (4 * self.hidden,)


@dataclass(frozen=True, slots=True)
class Recurrent:
    """The value of a declared network: a map that formulas call."""

    network: Network
    tensor: Callable[[str], Node]

    def of(self, graph: Graph, value: Node) -> Node:
        """`R(value)` for a sequence [n, inputs]."""
        weights = tuple(self.tensor(name) for name, _ in self.network.shapes)
        names = (axes(value)[0], None)
        return call(graph, lstm, value, weights, self.network.layers, self.network.both, axes=names)


def lstm(sequence: Tensor, weights: tuple[Tensor, ...], layers: int, both: bool) -> Tensor:  # noqa: FBT001
    """A long short-term memory over a sequence [n, inputs], from a state of zeros: [n, hidden], or
    [n, 2 hidden] where it reads both ways.
    """
    hidden = weights[1].shape[1]
    directions = 2 if both else 1
    if sequence.is_meta:
        return sequence.new_empty(sequence.shape[0], directions * hidden)
    state = sequence.new_zeros(layers * directions, 1, hidden)
    result, *_ = torch._VF.lstm(  # pyright: ignore[reportAttributeAccessIssue]
        sequence[None],
        (state, state),
        list(weights),
        True,  # noqa: FBT003  (with biases)
        layers,
        0.0,
        True,  # noqa: FBT003  (training, without which cudnn keeps nothing for the gradients)
        both,
        True,  # noqa: FBT003  (batch first)
    )
    return result[0]
