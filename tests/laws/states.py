"""The state of a model as a value: what two models that went the same way have in common, down to
their wires, and nothing of where they lie in memory.
"""

import hashlib
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from threading import local

import torch
from torch import Tensor, nn
from torch.optim.optimizer import _global_optimizer_post_hooks, _global_optimizer_pre_hooks

from pefc.compiler.plan.plan import Plan
from pefc.runtime.tasks.named_rows import _NAMED

_DEEPEST = 8


def state_of(model: nn.Module) -> tuple[object, object]:
    """All that a call of pefc may change, or must leave: of the model, of torch, and of the tasks
    that this thread names.
    """
    paths = {id(module): path for path, module in model.named_modules(remove_duplicate=False)}
    describing = _Describing(paths)
    modules = tuple((path, *describing.module(module)) for path, module in model.named_modules())
    return modules, _around()


def described(value: object) -> object:
    """A value of one's own, such as tensors by name."""
    return _Describing({}).of(value)


def identities(model: nn.Module) -> object:
    """Which objects a model is made of."""
    modules = tuple(
        (id(module), tuple((name, id(value)) for name, value in sorted(module.__dict__.items())))
        for module in model.modules()
    )
    tensors = (*model.named_parameters(), *model.named_buffers())
    return modules, tuple((name, id(tensor)) for name, tensor in tensors)


def _around() -> object:
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch._C._is_torch_function_enabled(),
        len(_global_optimizer_pre_hooks),
        len(_global_optimizer_post_hooks),
        tuple(_NAMED.get().values()),
    )


@dataclass(frozen=True, slots=True)
class _Describing:
    paths: Mapping[int, str]

    def module(self, module: nn.Module) -> Iterator[object]:
        yield tuple(map(_class, type(module).__mro__))
        yield tuple((name, self.of(value)) for name, value in module._parameters.items())
        yield tuple((name, self.of(value)) for name, value in module._buffers.items())
        yield tuple(module._modules)
        own = {"_parameters", "_buffers", "_modules"}
        rest = ((name, value) for name, value in module.__dict__.items() if name not in own)
        yield tuple((name, self.of(value)) for name, value in sorted(rest))

    def of(self, value: object, depth: int = 0) -> object:
        """A value without its identity."""
        if depth > _DEEPEST or value is None or isinstance(value, str | int | float | bytes | Enum):
            return repr(value) if depth <= _DEEPEST else type(value).__name__
        match value:
            case Tensor():
                return _tensor(value)
            case nn.Module():
                found = self.paths.get(id(value))
                return type(value).__name__ if found is None else f"at {found}"
            case Plan():
                return str(value)
            case Mapping():
                # Numbers of hooks say how many there were before.
                named = ((str(k) if isinstance(k, str) else "", v) for k, v in value.items())
                return tuple((name, self.of(v, depth + 1)) for name, v in named)
            case list() | tuple() | deque():
                return tuple(self.of(each, depth + 1) for each in value)
            case set() | frozenset():
                return tuple(sorted(map(repr, value)))
            case type():
                return _class(value)
            case _:
                return self._object(value, depth)

    def _object(self, value: object, depth: int) -> object:
        kind = type(value).__qualname__
        if is_dataclass(value):
            names = (field.name for field in fields(value) if field.name != "number")
            found = {name: getattr(value, name) for name in names}
        elif isinstance(value, local):
            found = {name: getattr(value, name) for name in type(value).__annotations__}
        else:
            found = {} if callable(value) else getattr(value, "__dict__", {})
        return kind, getattr(value, "__qualname__", ""), self.of(found, depth + 1)


def _class(cls: type) -> object:
    own = cls.__dict__
    return cls.__qualname__, tuple(sorted(own)) if "pefc_base" in own else ()


def _tensor(tensor: Tensor) -> object:
    said = str(tensor.dtype), tuple(tensor.shape), tensor.requires_grad, tensor.grad is not None
    if tensor.is_meta:
        return said
    data = tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    return *said, hashlib.blake2b(data, digest_size=8).hexdigest()
