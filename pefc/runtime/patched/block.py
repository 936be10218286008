"""A block whose output passes through a patch on its way out."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps

from torch import Tensor, nn

from ..calls import Variants, present
from .captures import Argument


@dataclass(frozen=True, slots=True)
class Wiring:
    """Where a block's patch finds its values in the module that it stands on."""

    output: int | str | None
    """The place of y in what the module returns; None where it is y itself."""
    own: Mapping[str, Argument]
    """The values that are arguments of the module's own call."""
    tapped: tuple[str, ...]
    """Those that were taken from an earlier call: `pefc_x` is the tap of `x`."""
    reads_text: bool
    """The patch asks where the tokens of a text stand, which `pefc_text` knows."""


def block_names(
    base: type[nn.Module], patches: Variants[Callable[..., Tensor]], wiring: Wiring
) -> dict[str, object]:
    """The names of a subclass whose output is `patch(module, y, x, residual, present)` in the place
    of y.
    """

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        given = {name: argument.read(args, kwargs) for name, argument in wiring.own.items()}
        result = base.forward(self, *args, **kwargs)
        for name in wiring.tapped:
            given[name] = getattr(self, f"pefc_{name}").take()
        patch = patches.of(self)
        if patch is None:
            return result
        y = result if wiring.output is None else result[wiring.output]  # pyright: ignore[reportIndexIssue]
        tokens = present(y, self.pefc_text) if wiring.reads_text else None  # pyright: ignore[reportArgumentType]
        changed = patch(self, y, given.get("x"), given.get("residual"), tokens)
        return _replaced(result, wiring.output, changed)

    return {"forward": forward}


def _replaced(result: object, place: int | str | None, value: Tensor) -> object:
    """What a module returned, with another tensor at a place."""
    if place is None:
        return value
    if isinstance(place, int):
        whole = tuple(result)  # pyright: ignore[reportArgumentType, reportCallIssue]
        return (*whole[:place], value, *whole[place + 1 :])
    changed = copy.copy(result)
    changed[place] = value  # pyright: ignore[reportIndexIssue]
    return changed
