"""Vocabularies: a model of transformers whose embedding or head has methods is not resized."""

from collections.abc import Callable
from functools import wraps

from torch import nn

_CALLS = ("resize_token_embeddings", "set_input_embeddings", "set_output_embeddings")


def keeping_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a model that asks its `pefc_keeping` before a call
    puts other modules in the place of its embedding or head.
    """
    return {name: _asking(name, getattr(base, name)) for name in _CALLS if hasattr(base, name)}


def _asking(name: str, call: Callable[..., object]) -> Callable[..., object]:
    @wraps(call)
    def asking(self: nn.Module, *args: object, **kwargs: object) -> object:
        given = next(iter((*args, *kwargs.values())), None)
        if given is not None:  # a resizing to nothing only returns what is there
            self.pefc_keeping(self, name, given)  # pyright: ignore[reportCallIssue]
        return call(self, *args, **kwargs)

    return asking
