"""Positions of a text: which tokens of a call are its first and its last ones."""

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass(slots=True)
class TextPart:
    """What a model is called with, as far as positions ask: one object for a whole model."""

    mask: Tensor | None = None
    """[batch, n]: 1 where a token stands, 0 where padding does; None where there is no padding."""
    follows: bool = False
    """The call goes on with a text whose first part is in a cache: then no position is meant."""
    gates: dict[object, Tensor] = field(default_factory=dict)
    """The values of gates that the first part of the text has set; they go with its cache."""

    def __reduce__(self) -> tuple[object, ...]:
        """A copy has no gates: torch copies no tensor that has a graph."""
        return TextPart, (self.mask, self.follows)

    def note(self) -> object:
        """What it says of the call that is under way."""
        return self.mask, self.follows, self.gates

    def restore(self, noted: object) -> None:
        """Speak of that call again."""
        self.mask, self.follows, self.gates = noted  # pyright: ignore[reportAttributeAccessIssue, reportGeneralTypeIssues]


def present(like: Tensor, text: TextPart | None) -> Tensor:
    """[batch, n]: true where a token of a text's first part stands, in a call whose values are like
    `like` [batch, n, d].
    """
    size = like.shape[:-1]
    if text is not None and text.follows:
        return torch.zeros(size, dtype=torch.bool, device=like.device)
    if text is None or text.mask is None:
        return torch.ones(size, dtype=torch.bool, device=like.device)
    return text.mask.bool().expand(size)


def first_positions(present: Tensor, count: int) -> Tensor:
    """[batch, n, 1]: true at the first `count` tokens of each text, after the padding before it."""
    before = present.long().cumsum(-1)
    return (present & (before <= count))[..., None]


def last_positions(present: Tensor, count: int) -> Tensor:
    """[batch, n, 1]: true at the last `count` tokens of each text, before the padding after it."""
    after = present.long().flip(-1).cumsum(-1).flip(-1)
    return (present & (after <= count))[..., None]
