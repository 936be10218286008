"""Taps: a value that one module is called with, for the patch of another one later in the same
forward.
"""

from dataclasses import dataclass
from functools import wraps

from torch import Tensor, nn


@dataclass(slots=True)
class Tap:
    """A value on its way. It is held from the call that it is taken from to the patch that reads
    it.
    """

    value: Tensor | None = None

    def take(self) -> Tensor:
        """The value, which is then let go."""
        value, self.value = self.value, None
        if value is None:
            raise RuntimeError("a patch reads a value that no module was called with before it")
        return value


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a forward."""

    index: int | None
    """The place among the positional ones; None for a keyword."""
    name: str

    def read(self, args: tuple[object, ...], kwargs: dict[str, object]) -> Tensor:
        """The argument among those of a call."""
        is_positional = self.index is not None and self.index < len(args)
        found = args[self.index] if is_positional else kwargs[self.name]  # pyright: ignore[reportArgumentType, reportCallIssue]
        assert isinstance(found, Tensor)
        return found


def tapped_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass that notes what it is called with: `pefc_taps` of a module says which
    arguments go to which taps.
    """

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        for argument, tap in self.pefc_taps:  # pyright: ignore[reportGeneralTypeIssues]
            tap.value = argument.read(args, kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        return base.forward(self, *args, **kwargs)

    return {"forward": forward, _ASIDE: base.forward}


_ASIDE = "pefc_aside"
"""What a tapped module computes without noting anything."""


@dataclass(frozen=True, slots=True)
class Aside:
    """A module as patches call it, with values of their own: no tap takes them."""

    module: nn.Module

    def __call__(self, value: Tensor) -> Tensor:
        """What the module makes of a value."""
        aside = getattr(type(self.module), _ASIDE, None)
        return self.module(value) if aside is None else aside(self.module, value)
