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
        tokens = given.get("inputs_embeds")
        tokens = given.get("input_ids") if tokens is None else tokens
        count = tokens.shape[1] if isinstance(tokens, Tensor) else 0
        text.mask = _present(given.get("attention_mask"), count)
        text.follows = caches.is_begun(given.get("past_key_values"))  # pyright: ignore[reportArgumentType]
        return base.forward(self, *args, **kwargs)

    return {"forward": forward}


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
