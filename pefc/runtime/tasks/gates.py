"""Gates: how much of a change reaches the output, for each row of a batch."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from torch import Tensor, nn
from torch.nn import functional

from ..calls import TextPart

_NUMBERS = count()
NAME = "pefc_gates"
"""The name under which a module has the values of its gates."""


@dataclass(slots=True)
class Gates:
    """The values of the gates of one module at its last call, by the path of their tensors."""

    values: dict[object, Tensor] = field(default_factory=dict)
    text: TextPart | None = None
    """Says which tokens of a call are padding, and whether it goes on with a text, whose gates were
    set by its first part.
    """
    rows: tuple[int, ...] | None = None
    """Those of the batch that are computed now; None for all."""
    number: int = field(default_factory=_NUMBERS.__next__)
    """Tells the gates of one module from those of others, in what a text has set."""

    def __reduce__(self) -> tuple[object, ...]:
        """A copy has the values, and no graph that they come from: torch copies no such tensor."""
        return Gates, ({name: value.detach() for name, value in self.values.items()}, self.text)


def gate_scores(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """σ(x wᵀ + b) of each token: [..., n, d] gives [..., n, 1]."""
    return functional.linear(x, weight, bias).sigmoid()


def token_mean(scores: Tensor) -> Tensor:
    """The mean over tokens: [..., n, 1] gives [..., 1, 1]."""
    return scores.mean(-2, keepdim=True)


def kept(scores: Tensor, gates: Gates, name: str) -> Tensor:
    """The value of a gate, [batch, n, 1] gives [batch, 1, 1]: the mean over the tokens of a text,
    which is noted. While a text goes on, its first part has set it: a token that is decoded alone
    finds the gate as the text left it.
    """
    key = name if gates.rows is None else (name, gates.rows)
    value = _mean(scores, gates)
    text = gates.text
    if text is not None:
        before = text.gates.get((gates.number, key)) if text.follows else None
        if before is not None and before.shape == value.shape:
            value = before
        text.gates[gates.number, key] = value
    gates.values[key] = value
    return value


def _mean(scores: Tensor, gates: Gates) -> Tensor:
    """The mean over tokens that are no padding."""
    mask = None if gates.text is None or gates.text.follows else gates.text.mask
    if mask is None or scores.ndim != mask.ndim + 1:
        return token_mean(scores)
    if gates.rows is not None:
        mask = mask[list(gates.rows)]
    if scores.shape[:-1] != mask.shape:
        return token_mean(scores)
    stands = mask.bool().unsqueeze(-1)
    return scores.where(stands, 0).sum(-2, keepdim=True) / stands.sum(-2, keepdim=True).clamp(1)


def noted(value: Tensor, gates: Gates, name: str) -> Tensor:
    """Note a value of the last call, such as the weights of a fusion [batch, n, members]."""
    gates.values[name] = value
    return value


def gated_rows(prefix: Tensor, gate: Tensor) -> Tensor:
    """A prefix [len, kv_heads, hd], or [batch, len, kv_heads, hd], times the gate [batch, 1, 1] of
    each row: [batch, len, kv_heads, hd].
    """
    return prefix * gate.unsqueeze(-1)


@contextmanager
def speaking_of(module: nn.Module, rows: Sequence[int]) -> Iterator[None]:
    """Let the gates of a module know which rows of the batch are computed, while it lasts."""
    gates = module.__dict__.get(NAME)
    if not isinstance(gates, Gates):
        yield
        return
    gates.rows = tuple(rows)
    try:
        yield
    finally:
        gates.rows = None
