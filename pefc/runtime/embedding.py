"""New tokens before those of the text, in a module that is no model of transformers.

Its token embedding returns them with the text, and they are cut off what the module returns.
"""

from collections.abc import Callable
from functools import wraps

from torch import Tensor, nn

from .prompted import prepended


def embedding_names(
    base: type[nn.Module], prompt: Callable[[nn.Module], Tensor]
) -> dict[str, object]:
    """The names of a subclass of the class of a token embedding; `prompt` makes the new tokens from
    the module.
    """

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> Tensor:
        text = base.forward(self, *args, **kwargs)
        if text.ndim == 2:
            return prepended(prompt(self), text[None])[0]
        return prepended(prompt(self), text)

    return {"forward": forward}


def trimmed_names(base: type[nn.Module], length: int) -> dict[str, object]:
    """The names of a subclass of the class of a module that embeds the ids.

    What it returns loses the new tokens wherever a tensor has one row a token: one more axis than
    the ids, or as many and integers, and as many rows as there are tokens with the new ones.
    """

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        output = base.forward(self, *args, **kwargs)
        ids = _ids((*args, *kwargs.values()))
        return output if ids is None else _trimmed(output, ids, length)

    return {"forward": forward}


def _ids(values: tuple[object, ...]) -> Tensor | None:
    """The first argument that counts something."""
    for value in values:
        if isinstance(value, Tensor) and value.ndim and not value.is_floating_point():
            return value
    return None


def _trimmed(output: object, ids: Tensor, length: int) -> object:
    if isinstance(output, Tensor):
        return _narrowed(output, ids, length)
    if isinstance(output, dict):
        for name, value in output.items():
            output[name] = _trimmed(value, ids, length)
        return output
    if isinstance(output, tuple):
        values = tuple(_trimmed(value, ids, length) for value in output)
        make = getattr(output, "_make", None)
        return values if make is None else make(values)
    return output


def _narrowed(output: Tensor, ids: Tensor, length: int) -> Tensor:
    axis = ids.ndim - 1
    counts = output.ndim == ids.ndim and not output.is_floating_point()
    if not counts and output.ndim <= ids.ndim:
        return output
    if output.shape[axis] != ids.shape[axis] + length:
        return output
    return output.narrow(axis, length, ids.shape[axis])
