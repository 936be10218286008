"""What a model is called with, noted for patches that ask for the first and last tokens."""

from functools import wraps
from inspect import signature

from torch import Tensor, nn

from . import caches
from .positions import TextPart


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
