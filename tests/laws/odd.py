"""Modules that read the weights of linear maps in odd ways, as small models of one width."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations

WIDTH = 8
HEADS = 2
ENDLESS = 1e9
"""No sum of values is as large; a trace cannot know it."""


class Odd(nn.Module):
    """Two maps, and a way of its own to read them."""

    def __init__(self) -> None:
        super().__init__()
        self.map, self.other = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)

    def compute(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.compute(x)


class Called(Odd):
    def compute(self, x: Tensor) -> Tensor:
        return self.other(torch.relu(self.map(x)))


class CalledTwice(Odd):
    def compute(self, x: Tensor) -> Tensor:
        return self.other(self.map(torch.relu(self.map(x))))


class ForwardCalled(Odd):
    """Without what hooks are run by."""

    def compute(self, x: Tensor) -> Tensor:
        return self.other(torch.relu(self.map.forward(x)))


class Both(Odd):
    def compute(self, x: Tensor) -> Tensor:
        return self.other(x) + self.map(x) + functional.linear(x, self.map.weight)


class BothDetached(Odd):
    def compute(self, x: Tensor) -> Tensor:
        return self.other(x) + self.map(x) + x @ self.map.weight.data


class BiasTwice(Odd):
    def compute(self, x: Tensor) -> Tensor:
        return self.other(x) + self.map(x) + self.map.bias


class OnlyRead(Odd):
    def compute(self, x: Tensor) -> Tensor:
        return self.other(x) + functional.linear(x, self.map.weight, self.map.bias)


class Turned(Odd):
    def compute(self, x: Tensor) -> Tensor:
        return self.other(x) + x @ self.map.weight.T


class Summed(Odd):
    def compute(self, x: Tensor) -> Tensor:
        return self.other(x) + torch.einsum("...i,oi->...o", x, self.map.weight)


class Fused(Odd):
    """Queries, keys and values from one product, as where their biases are apart."""

    def compute(self, x: Tensor) -> Tensor:
        both = functional.linear(x, torch.cat([self.map.weight, self.map.weight + 1]))
        return self.other(sum(both.chunk(2, -1)))


class Tied(Odd):
    def __init__(self) -> None:
        super().__init__()
        self.other.weight = self.map.weight

    def compute(self, x: Tensor) -> Tensor:
        return self.other(torch.relu(self.map(x)))


class TiedByAnotherName(Odd):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = self.map.weight

    def compute(self, x: Tensor) -> Tensor:
        return self.other(torch.relu(self.map(x))) + x @ self.kernel


class TiedInMemory(Odd):
    """Two parameters over the same numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.other.weight = nn.Parameter(self.map.weight.data)

    def compute(self, x: Tensor) -> Tensor:
        return self.other(torch.relu(self.map(x)))


class Kept(Odd):
    """A view of the weight, made once."""

    def __init__(self) -> None:
        super().__init__()
        self.view = self.map.weight.detach().T

    def compute(self, x: Tensor) -> Tensor:
        return self.other(torch.relu(self.map(x))) + x @ self.view


class Attending(Odd):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def compute(self, x: Tensor) -> Tensor:
        return self.other(self.map(self.attention(x, x, x, need_weights=False)[0]))


class AttendingByFunction(Odd):
    def __init__(self) -> None:
        super().__init__()
        self.into = nn.Linear(WIDTH, 3 * WIDTH)

    def compute(self, x: Tensor) -> Tensor:
        z = x.flatten(0, -3) if x.ndim > 2 else x.unsqueeze(0)
        mixed, _ = functional.multi_head_attention_forward(
            *(z, z, z, WIDTH, HEADS, self.into.weight, self.into.bias, None, None, False, 0.0),
            *(self.map.weight, self.map.bias),
            training=False,
            need_weights=False,
        )
        return self.other(mixed.reshape(x.shape))


class Encoding(Odd):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 12, batch_first=True)

    def compute(self, x: Tensor) -> Tensor:
        return self.other(self.map(self.layer(x)))


class OnlyInTraining(Odd):
    def compute(self, x: Tensor) -> Tensor:
        return self.other(self.map(x) if self.training else x)


class ReadInEvaluation(Odd):
    def compute(self, x: Tensor) -> Tensor:
        mapped = self.map(x) if self.training else functional.linear(x, self.map.weight)
        return self.other(mapped)


class Flagged(Odd):
    flag = False

    def compute(self, x: Tensor) -> Tensor:
        return self.other(self.map(x) if self.flag else x)


class Normed(Odd):
    def __init__(self) -> None:
        super().__init__()
        parametrizations.weight_norm(self.map)

    def compute(self, x: Tensor) -> Tensor:
        return self.other(torch.relu(self.map(x)))


class Hooked(Odd):
    """What a hook returns takes the place of what the map gives."""

    def __init__(self) -> None:
        super().__init__()
        self.map.register_forward_hook(lambda own, given, _: functional.linear(*given, own.weight))

    def compute(self, x: Tensor) -> Tensor:
        return self.other(torch.relu(self.map(x)))


class Experts(Odd):
    """Of a list, the input says which one runs."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(3))

    def compute(self, x: Tensor) -> Tensor:
        chosen = int(x.abs().sum() * 100) % 3 if x.device.type != "meta" else 0
        return self.other(self.experts[chosen](self.map(x)))


def deciding(kind: type[Odd]) -> type[Odd]:
    """The same, as no trace can follow it: what it computes depends on values."""

    class Deciding(kind):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > ENDLESS else self.compute(x)

    return Deciding


def pairing(kind: type[Odd]) -> type[Odd]:
    """The same, with inputs that nobody can make up."""

    class Pairing(kind):
        def forward(self, x: Tensor, y: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
            return self.compute(x) + y

    return Pairing


@dataclass(frozen=True, slots=True)
class Case:
    """One of these models."""

    kind: type[Odd]
    knowledge: str
    """How it can be looked into: `traced`, `run`, or `nothing`."""

    def __str__(self) -> str:
        return f"{self.kind.__name__}-{self.knowledge}"

    def build(self) -> Odd:
        torch.manual_seed(11)
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            return _KNOWLEDGE[self.knowledge](self.kind)().eval()
        finally:
            torch.set_default_dtype(before)

    def output(self, model: nn.Module, seed: int = 3) -> Tensor:
        x = torch.randn(2, 5, WIDTH, generator=torch.Generator().manual_seed(seed))
        x = x.double()
        return model(x, x) if self.knowledge == "nothing" else model(x)


_KNOWLEDGE: dict[str, Callable[[type[Odd]], type[Odd]]] = {
    "traced": lambda kind: kind,
    "run": deciding,
    "nothing": pairing,
}
KINDS = tuple(Odd.__subclasses__())
CASES = tuple(Case(kind, knowledge) for kind in KINDS for knowledge in _KNOWLEDGE)
