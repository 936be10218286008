"""Gates: how much of a change reaches the output, for each row of a batch."""

from dataclasses import dataclass, field

from torch import Tensor
from torch.nn import functional

from .positions import TextPart


@dataclass(slots=True)
class Gates:
    """The values of the gates of one module at its last call, by the path of their tensors."""

    values: dict[str, Tensor] = field(default_factory=dict)
    text: TextPart | None = None
    """Says whether a call goes on with a text, whose gates were set by its first part."""

    def __reduce__(self) -> tuple[object, ...]:
        """A copy has the values, and no graph that they come from: torch copies no such tensor."""
        return Gates, ({name: value.detach() for name, value in self.values.items()}, self.text)


def gate_value(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """The mean over tokens of σ(x wᵀ + b): [..., n, d] gives [..., 1, 1]."""
    return functional.linear(x, weight, bias).sigmoid().mean(-2, keepdim=True)


def kept(value: Tensor, gates: Gates, name: str) -> Tensor:
    """Note the value of a gate. While a text goes on, its first part has set it: a token that is
    decoded alone finds the gate as the text left it.
    """
    follows = gates.text is not None and gates.text.follows
    before = gates.values.get(name)
    if follows and before is not None and before.shape == value.shape:
        return before
    gates.values[name] = value
    return value


def noted(value: Tensor, gates: Gates, name: str) -> Tensor:
    """Note a value of the last call, such as the weights of a fusion [batch, n, members]."""
    gates.values[name] = value
    return value


def gated_rows(prefix: Tensor, gate: Tensor) -> Tensor:
    """A prefix [len, kv_heads, hd], or [batch, len, kv_heads, hd], times the gate [batch, 1, 1] of
    each row: [batch, len, kv_heads, hd].
    """
    return prefix * gate.unsqueeze(-1)
