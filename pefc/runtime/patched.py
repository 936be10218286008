"""A module whose forward runs a patch, and which is otherwise what it was."""

import linecache
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from itertools import count

from torch import nn

from .tensors import Tensors

_NUMBERS = count()


def patched_class(base: type[nn.Module], source: str, scope: dict[str, object]) -> type[nn.Module]:
    """A subclass of a module's class, with the name of that class, whose forward is `source`.

    Inside, `self.base_forward(x)` is the forward of the class itself.
    """
    names = {
        "forward": _function(source, scope),
        "base_forward": base.forward,
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__qualname__": base.__qualname__,
        "pefc_base": base,
        "pefc_source": source,
    }
    return type(base.__name__, (base,), names)


def is_patched(module: nn.Module) -> bool:
    """Whether the class of a module comes from `patched_class`."""
    return "pefc_base" in type(module).__dict__


def base_class(module: nn.Module) -> type[nn.Module]:
    """The class that a module has without its patch."""
    return type(module).__dict__.get("pefc_base", type(module))


def bare(module: nn.Module) -> nn.Module:
    """A module as it is without patches: a tree of its own over the same tensors. Without any
    patch, the module itself.
    """
    if not any(is_patched(inner) for inner in module.modules()):
        return module
    return _Copying(lambda parameter: parameter).copy(module)


def frozen_twin(module: nn.Module, trained: Collection[int]) -> nn.Module:
    """A module without patches, as a tree of its own whose parameters do not train, over the same
    storage; but for those in `trained`, by `id`, which are the module's own.
    """
    aliases: dict[int, nn.Parameter] = {}

    def alias(parameter: nn.Parameter) -> nn.Parameter:
        if id(parameter) in trained or not parameter.requires_grad:
            return parameter
        fresh = nn.Parameter(parameter.detach(), requires_grad=False)
        return aliases.setdefault(id(parameter), fresh)

    return _Copying(alias).copy(module)


@dataclass(frozen=True, slots=True)
class _Copying:
    """Copies a tree of modules, shared ones once, with the parameters that a function gives."""

    parameter: Callable[[nn.Parameter], nn.Parameter]
    made: dict[int, nn.Module] = field(default_factory=dict)

    def copy(self, module: nn.Module) -> nn.Module:
        if id(module) in self.made:
            return self.made[id(module)]
        original = base_class(module)
        copy = self.made[id(module)] = original.__new__(original)
        copy.__dict__.update(module.__dict__)
        copy.__dict__["_buffers"] = dict(module._buffers)
        copy.__dict__["_parameters"] = {
            name: value if value is None else self.parameter(value)
            for name, value in module._parameters.items()
        }
        copy.__dict__["_modules"] = {
            name: child and self.copy(child)
            for name, child in module._modules.items()
            if not isinstance(child, Tensors)
        }
        return copy


def _function(source: str, scope: dict[str, object]) -> Callable[..., object]:
    """Compile `def forward(self, …)`, so that tracebacks show its lines."""
    file = f"<pefc patch {next(_NUMBERS)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names = dict(scope)
    exec(compile(source, file, "exec"), names)  # noqa: S102
    return names["forward"]  # pyright: ignore[reportReturnType]
