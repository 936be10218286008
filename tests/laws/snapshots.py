"""Everything about a model that a spec may not leave changed."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A model, bit for bit and flag for flag."""

    values: tuple[tuple[str, torch.Tensor], ...]
    """Clones of the state, in its order."""
    modules: tuple[tuple[str, type[nn.Module], bool, tuple[str, ...], Mapping[str, object]], ...]
    """Path, class, training flag, children, and what else stands in `__dict__`, of every module."""
    parameters: tuple[tuple[str, int, bool, bool], ...]
    """Name, identity, `requires_grad`, and whether there is a gradient, of every parameter."""

    @classmethod
    def of(cls, model: nn.Module) -> "Snapshot":
        return cls(
            tuple((name, value.detach().clone()) for name, value in model.state_dict().items()),
            tuple(_module(path, module) for path, module in model.named_modules()),
            tuple(
                (name, id(p), p.requires_grad, p.grad is not None)
                for name, p in model.named_parameters(remove_duplicate=False)
            ),
        )

    def assert_same(self, model: nn.Module) -> None:
        now = Snapshot.of(model)
        assert now.modules == self.modules
        assert now.parameters == self.parameters
        assert [name for name, _ in now.values] == [name for name, _ in self.values]
        for (name, value), (_, before) in zip(now.values, self.values, strict=True):
            assert value.dtype == before.dtype, name
            assert value.device == before.device, name
            assert value.is_meta or torch.equal(value, before), name


_KNOWN = {"_parameters", "_buffers", "_modules", "training"}


def _module(
    path: str, module: nn.Module
) -> tuple[str, type[nn.Module], bool, tuple[str, ...], Mapping[str, object]]:
    rest = {key: _comparable(value) for key, value in module.__dict__.items() if key not in _KNOWN}
    return path, type(module), module.training, tuple(module._modules), rest


def _comparable(value: object) -> object:
    """Containers by content, everything else by identity."""
    return repr(value) if isinstance(value, dict | list | set | tuple) else id(value)
