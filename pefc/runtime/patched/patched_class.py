"""A module whose forward runs a patch, and which is otherwise what it was."""

import linecache
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import wraps
from itertools import count
from weakref import finalize

import torch
from torch import nn

from ..distributed import is_away, spread_class, unspread
from .tensors import Tensors

_NUMBERS = count()
_LIVES = "pefc_lives"
"""What a forward has that runs the one of whatever class a module has. Wrappers take it over."""


def patched_class(
    base: type[nn.Module], names: Mapping[str, object], *, outlived: bool = False
) -> type[nn.Module]:
    """A subclass of a module's class, with the name of that class and `names` of its own. Patched
    classes may stand on patched classes. Its forward may be `outlived` by who keeps it: Accelerate
    wraps that of a model which trains in lower precision, and leaves it so.
    """
    own = {
        "__module__": base.__module__,
        "__doc__": base.__doc__,
        "__qualname__": base.__qualname__,
        "pefc_base": base,
    }
    made = type(base.__name__, (base,), {**own, **names})
    if outlived and "forward" in names:
        made.forward = _living(made)
    return made


def _living(patched: type[nn.Module]) -> Callable[..., object]:
    """The forward of a patched class, which runs that of whatever class the module has by then."""
    forward = patched.forward

    @wraps(forward)
    def living(self: nn.Module, *args: object, **kwargs: object) -> object:
        run = forward if isinstance(self, patched) else type(self).forward
        return run(self, *args, **kwargs)

    setattr(living, _LIVES, True)
    return living


def passing_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass whose forward is that of the class, for who keeps it."""

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        return base.forward(self, *args, **kwargs)

    return {"forward": forward}


def is_bypassed(module: nn.Module) -> bool:
    """Whether a module has a forward of its own that runs another than that of its class."""
    found = module.__dict__.get("forward")
    if found is None:
        return False
    while found is not None and not hasattr(found, _LIVES):
        found = getattr(found, "__wrapped__", None)
    return found is None


def compiled_function(source: str, scope: Mapping[str, object]) -> Callable[..., object]:
    """The function `forward` of a text, so that tracebacks show its lines."""
    file = f"<pefc patch {next(_NUMBERS)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    names = dict(scope)
    exec(compile(source, file, "exec"), names)  # noqa: S102
    function: Callable[..., object] = names["forward"]  # pyright: ignore[reportAssignmentType]
    finalize(function, linecache.cache.pop, file, None)
    return function


def is_patched(cls: type[nn.Module]) -> bool:
    """Whether a class comes from `patched_class`."""
    return "pefc_base" in spread_class(cls).__dict__


def is_wire(name: str) -> bool:
    """Whether an attribute of a module was put there for a patch."""
    return name.startswith("pefc_")


def base_class(module: nn.Module) -> type[nn.Module]:
    """The class that a module has without its patches, and without what spreads it."""
    return base_of(type(module))


def base_of(cls: type[nn.Module]) -> type[nn.Module]:
    """The class that `patched_class` began with."""
    found = spread_class(cls)
    while "pefc_base" in found.__dict__:
        found = found.__dict__["pefc_base"]
    return found


def bare(module: nn.Module) -> nn.Module:
    """A module as it is without patches: a tree of its own over the same tensors. Without any
    patch, the module itself.
    """
    if not any(is_patched(type(inner)) for inner in module.modules()):
        return module
    return _Copying(lambda parameter: parameter).copy(module)


def outlined(module: nn.Module) -> nn.Module:
    """A module without patches as a plan needs it: parameters whose numbers are away have their
    sizes at least.
    """
    if not any(is_away(parameter) for parameter in module.parameters()):
        return bare(module)
    outlines: dict[int, nn.Parameter] = {}

    def outline(parameter: nn.Parameter) -> nn.Parameter:
        if not is_away(parameter):
            return parameter
        size = torch.empty(parameter.ds_shape, dtype=parameter.dtype, device="meta")  # pyright: ignore[reportAttributeAccessIssue]
        return outlines.setdefault(id(parameter), nn.Parameter(size, parameter.requires_grad))

    return _Copying(outline).copy(module)


def replacing(module: nn.Module, others: Mapping[int, nn.Module]) -> nn.Module:
    """A tree of its own over the same tensors, with other modules in the place of some, by `id`."""
    return _Copying(lambda parameter: parameter, dict(others)).copy(module)


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
        copy.__dict__.update(
            (name, value) for name, value in unspread(module).items() if not is_wire(name)
        )
        copy.__dict__["_buffers"] = {
            name: value for name, value in module._buffers.items() if not is_wire(name)
        }
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
