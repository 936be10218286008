"""The tensors of one attachment: a child of the module that it stands on."""

from collections.abc import Iterator
from keyword import iskeyword

import torch
from torch import nn


class Tensors(nn.Module):
    """Holds what a method added to a site. The patched module reads from it; called, it changes
    nothing.
    """

    shared: "Tensors | None"
    """Tensors of the same method that several sites share; they are registered once, at the top of
    the model.
    """
    allocator: object
    """What allocates ranks here and at other sites; it lives as long as its tensors."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "shared", None)
        object.__setattr__(self, "allocator", None)
        # The fused kernel of nn.TransformerEncoderLayer reads weights past forward, unless a hook
        # stands below it.
        self.register_forward_pre_hook(_never_called)

    def share(self, shared: "Tensors") -> None:
        """Read tensors that live elsewhere, without owning them."""
        object.__setattr__(self, "shared", shared)

    def place(self, name: str, tensor: torch.Tensor, *, frozen: bool) -> None:
        """Add a tensor; a dotted name such as `down.weight` makes children on the way."""
        *parents, last = name.split(".")
        owner = self
        for parent in parents:
            if parent not in owner._modules:
                owner.add_module(parent, Tensors())
            owner = owner.get_submodule(parent)
        if frozen:
            owner.register_buffer(last, tensor)
        else:
            owner.register_parameter(last, nn.Parameter(tensor))

    def forward(self, value: object) -> object:
        """What comes in: an `nn.Sequential` runs all its children, shared tensors too."""
        return value

    def extra_repr(self) -> str:
        return ", ".join(f"{name}: {list(tensor.shape)}" for name, tensor in self._own())

    def _own(self) -> Iterator[tuple[str, torch.Tensor]]:
        yield from self.named_parameters(recurse=False)
        yield from self.named_buffers(recurse=False)


def is_taken(name: str) -> bool:
    """Whether a tensor cannot have this name, because it stands for something else in `Tensors`."""
    return name in {"rows", "shrinking"} or iskeyword(name) or hasattr(Tensors(), name)


def _never_called(module: nn.Module, inputs: object) -> None:
    """Nothing to do: that the hook is there is what counts."""
