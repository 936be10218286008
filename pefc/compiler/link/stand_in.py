"""Stand-ins: a linear map that is also the end of a block becomes a module around it, so that a
trace shows the map and what follows it apart.
"""

from collections.abc import Iterable

from torch import Tensor, nn

from ..families import linear_width


class StandIn(nn.Module):
    """A module with the linear map as its child, under a name that is no label's."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.pefc_map = inner
        self.training = inner.training

    @property
    def weight(self) -> object:
        """For a patch of the map that stands here."""
        return self.pefc_map.weight

    @property
    def bias(self) -> object:
        return self.pefc_map.bias

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        """What the map gives."""
        return self.pefc_map(*args, **kwargs)


def stand_ins(model: nn.Module, paths: Iterable[str]) -> None:
    """Put a stand-in, under the same name, around each of these modules that is a linear map."""
    for path in paths:
        module = model.get_submodule(path)
        if linear_width(module) is not None:
            owner, _, name = path.rpartition(".")
            model.get_submodule(owner)._modules[name] = StandIn(module)
