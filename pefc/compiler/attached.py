"""What is attached to a model, or an error that nothing is."""

from torch import nn

from ..dsl.diagnostics.attaching import NothingAttached
from ..dsl.diagnostics.core import SpecError
from ..runtime.installed import Installed, record


def attached(model: nn.Module) -> Installed:
    """What a model remembers of the spec that is applied to it. Raises SpecError if none is."""
    found = record(model)
    if not isinstance(found, Installed):
        raise SpecError([NothingAttached(type(model).__name__)])
    return found
