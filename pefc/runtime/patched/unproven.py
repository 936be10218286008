"""Sites of which nothing is known before the model runs: its first calls show whether their
modules run.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import nn

from ..calls import Reached, noting_reads

NAME = "pefc_unproven"
"""Under which a model has the state of these sites."""


@dataclass(slots=True)
class Unproven:
    """What calls have shown so far."""

    waiting: set[str]
    """The paths of modules that no call has run by their own forward."""
    tell: Callable[[nn.Module, Reached], None]
    """Says what a first call has left out, or given something else for."""
    elsewhere: dict[str, dict[str, str]] = field(default_factory=dict)
    """As in `Reached`."""
    is_told: bool = False

    def note(self, model: nn.Module, found: Reached) -> None:
        """A call is over."""
        self.waiting -= found.ran
        for path, read in found.elsewhere.items():
            self.elsewhere.setdefault(path, {}).update(read)
        if not self.is_told:
            self.is_told = True
            self.tell(model, found)


def proving_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a model that looks at what its calls reach, until
    they have reached everything.
    """

    def call(self: nn.Module, *args: object, **kwargs: object) -> object:
        unproven = self.__dict__.get(NAME)
        is_compiled = torch.compiler.is_compiling() or torch.compiler.is_exporting()
        if is_compiled or not isinstance(unproven, Unproven) or not unproven.waiting:
            return base.__call__(self, *args, **kwargs)
        found = Reached()
        with noting_reads(self, found):
            result = base.__call__(self, *args, **kwargs)
        unproven.note(self, found)
        return result

    return {"__call__": call}
