"""New tokens before those of the text, in a module that is no model of transformers.

Its token embedding returns them with the text, and they are cut off what the module returns.
"""

from functools import wraps

from torch import Tensor, nn

from .arguments import prepended
from .prompts import Prompts


def embedding_names(base: type[nn.Module], prompts: Prompts) -> dict[str, object]:
    """The names of a subclass of the class of a token embedding, which puts new tokens first."""

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> Tensor:
        text = base.forward(self, *args, **kwargs)
        whole = text if text.ndim > 2 else text[None]
        if not _length(prompts, self, whole.shape[0]):
            return text
        longer = prepended(prompts.prompt(self, whole.shape[0]), whole)
        return longer if text.ndim > 2 else longer[0]

    return {"forward": forward}


def trimmed_names(base: type[nn.Module], prompts: Prompts) -> dict[str, object]:
    """The names of a subclass of the class of a module that embeds the ids.

    What it returns loses the new tokens wherever a tensor has one row a token: one more axis than
    the ids, or as many and integers, and as many rows as there are tokens with the new ones.
    """

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        output = base.forward(self, *args, **kwargs)
        ids = _ids((*args, *kwargs.values()))
        if ids is None:
            return output
        length = _length(prompts, self, ids.shape[0] if ids.ndim > 1 else 1)
        return _trimmed(output, ids, length) if length else output

    return {"forward": forward}


def _length(prompts: Prompts, module: nn.Module, rows: int) -> int:
    new = prompts.new(module, rows)
    if new.seen is not None:
        raise ValueError("prompts of different lengths need a model of transformers, with masks")
    return new.length


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
