"""What a model is called with, noted for patches that ask for the first and last tokens."""

from dataclasses import dataclass, field
from functools import wraps
from inspect import signature

import torch
from torch import Tensor, nn

from . import cache as caches


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


def noting_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a stem that notes, in its `pefc_text`, where tokens
    stand and whether the call goes on with a text that a cache holds.
    """
    parameters = tuple(signature(base.forward).parameters)[1:]

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        given = {**dict(zip(parameters, args, strict=False)), **kwargs}
        text = self.pefc_text
        assert isinstance(text, TextPart)
        tokens = _tokens(given)
        count = 0 if tokens is None else tokens.shape[1]
        text.mask = _present(_mask(given), count)
        cache = given.get("past_key_values")
        text.follows = caches.is_begun(cache)  # pyright: ignore[reportArgumentType]
        text.gates = caches.gates(cache)  # pyright: ignore[reportArgumentType]
        return base.forward(self, *args, **kwargs)

    return {"forward": forward}


def _tokens(given: dict[str, object]) -> Tensor | None:
    """The ids or embeddings of a call; of a model that is not of transformers its first tensor."""
    named = (given.get("inputs_embeds"), given.get("input_ids"), *given.values())
    return next((v for v in named if isinstance(v, Tensor) and v.ndim > 1), None)


def _mask(given: dict[str, object]) -> object:
    """The attention mask, or what a model that is not of transformers calls so."""
    if "attention_mask" in given:
        return given["attention_mask"]
    return next((v for n, v in given.items() if "mask" in n and isinstance(v, Tensor)), None)


def _present(mask: object, count: int) -> Tensor | None:
    """[batch, n]: where tokens stand, from a mask in any of the forms that models take: one row a
    text, or one a query, whose last one sees the whole text.
    """
    if isinstance(mask, dict):
        mask = mask.get("full_attention")
    if not isinstance(mask, Tensor):
        return None
    if mask.ndim == 4:
        mask = mask[:, 0, -1]
        mask = mask >= 0 if mask.is_floating_point() else mask
    return mask[:, -count:] if mask.shape[-1] == count else mask[:, :count]
