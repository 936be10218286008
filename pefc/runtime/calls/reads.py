"""Reads: which modules of a model run their own forward in a call, and whose parameters are read
while they do not.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

_VIEWS = frozenset("T H mT mH data real imag".split())
"""Attributes of a tensor that have its values."""
_ALIKE = frozenset("to type_as view_as expand_as reshape_as".split())
"""What takes from its later arguments a type or a shape alone."""


@dataclass(slots=True)
class Reached:
    """What calls of a model have shown."""

    ran: set[str] = field(default_factory=set)
    """The paths of modules whose own forward has run."""
    elsewhere: dict[str, dict[str, str]] = field(default_factory=dict)
    """By the path of a module and the name of its parameter, the path of the module that has read
    it while the one whose it is did not run.
    """
    replaced: set[str] = field(default_factory=set)
    """The paths of modules of which a hook has given something else than their forward."""


@contextmanager
def noting_reads(model: nn.Module, found: Reached) -> Iterator[None]:
    """Note what calls of a model reach, while it lasts. Every module has another forward until
    then, so that one which is called without hooks is seen too.
    """
    running: list[str] = []
    with ExitStack() as stack:
        for path, module in model.named_modules():
            if not isinstance(module, torch.jit.ScriptModule):
                stack.enter_context(_noting(module, path, running, found))
        stack.enter_context(_Reads(_owners(model), running, found.elsewhere))
        yield


@contextmanager
def _noting(module: nn.Module, path: str, running: list[str], found: Reached) -> Iterator[None]:
    """While it lasts, a module has a forward that says when it runs, and its hooks what they do."""
    before = {name: f for name, f in module.__dict__.items() if name == "forward"}
    forward, results = module.forward, list[object]()

    @wraps(forward)
    def noting(*args: object, **kwargs: object) -> object:
        running.append(path)
        found.ran.add(path)
        try:
            results[:] = [forward(*args, **kwargs)]
        finally:
            running.pop()
        return results[0]

    def hooked(_module: nn.Module, _args: tuple, result: object) -> None:
        if results and result is not results.pop():
            found.replaced.add(path)

    module.__dict__["forward"] = noting
    last = module.register_forward_hook(hooked) if module._forward_hooks else None
    try:
        yield
    finally:
        module.__dict__.pop("forward")
        module.__dict__.update(before)
        if last is not None:
            last.remove()


def _owners(model: nn.Module) -> dict[int, list[tuple[str, str]]]:
    """By the id of a parameter the modules whose it is, and its name there."""
    owners: dict[int, list[tuple[str, str]]] = {}
    for path, module in model.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                owners.setdefault(id(parameter), []).append((path, name))
    return owners


class _Reads(TorchFunctionMode):
    """Sees every function of torch that is given a parameter."""

    def __init__(
        self,
        owners: Mapping[int, list[tuple[str, str]]],
        running: list[str],
        elsewhere: dict[str, dict[str, str]],
    ) -> None:
        super().__init__()
        self.owners = owners
        self.running = running
        self.elsewhere = elsewhere

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        if _has_values(func, result):
            for leaf in tree_leaves(args[:1] if func.__name__ in _ALIKE else (args, kwargs)):
                for path, name in self.owners.get(id(leaf), ()):
                    if path not in self.running:
                        reader = self.running[-1] if self.running else ""
                        self.elsewhere.setdefault(path, {}).setdefault(name, reader)
        return result


def _has_values(func: Callable[..., object], result: object) -> bool:
    """Whether a result is made of the values of what a function is given, not of shapes alone."""
    name = func.__name__
    if name == "__get__":
        return getattr(getattr(func, "__self__", None), "__name__", None) in _VIEWS
    if name.endswith("_like") or name.startswith("new_") or name == "requires_grad_":
        return False
    return any(isinstance(leaf, Tensor) for leaf in tree_leaves(result))
