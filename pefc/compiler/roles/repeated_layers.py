"""Repetition: lists of layers of one structure, of which one stands for many."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from ..model import is_transposed, linear_width

Key = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """A list of modules of which some have the same structure."""

    path: str
    representatives: tuple[int, ...]
    """For each element, the first one that has its structure."""

    @property
    def kept(self) -> int:
        """How many elements, from the first, hold every structure."""
        return max(self.representatives) + 1


def find_stacks(model: nn.Module) -> tuple[Stack, ...]:
    """The outermost lists of composite modules in which structures repeat."""
    return tuple(_stacks(model, ""))


def _stacks(module: nn.Module, path: str) -> Iterator[Stack]:
    for name, child in module.named_children():
        inner = f"{path}.{name}" if path else name
        if _is_stack(child):
            keys = structure_keys(tuple(child.children()))
            first = {key: index for index, key in reversed(tuple(enumerate(keys)))}
            yield Stack(inner, tuple(first[key] for key in keys))
        else:
            yield from _stacks(child, inner)


def _is_stack(module: nn.Module) -> bool:
    children = tuple(module.children())
    if not isinstance(module, (nn.ModuleList, nn.Sequential)) or len(children) < 2:
        return False
    return all(next(child.children(), None) is not None for child in children)


def structure_keys(layers: tuple[nn.Module, ...]) -> tuple[Key, ...]:
    """What two layers must agree in to have the same roles; numbers that merely count the layers
    are left out.
    """
    facts = [dict(_facts(layer, "")) for layer in layers]
    counting = {
        name
        for name, value in facts[0].items()
        if type(value) is int
        and len(facts) > 1
        and all(fact.get(name) == value + index for index, fact in enumerate(facts))
    }
    return tuple(
        tuple((name, value) for name, value in fact.items() if name not in counting)
        for fact in facts
    )


def _facts(module: nn.Module, path: str) -> Iterator[tuple[str, object]]:
    if (width := linear_width(module)) is not None:
        yield path, (width, module.bias is not None, is_transposed(module))
        return
    yield path, type(module).__qualname__
    for name, parameter in module._parameters.items():
        yield f"{path}:{name}", None if parameter is None else tuple(parameter.shape)
    for name, value in vars(module).items():
        if isinstance(value, (bool, int, str)) and name != "training":
            yield f"{path}.{name}", value
    for name, child in module._modules.items():
        if child is None:
            yield f"{path}/{name}", None
        else:
            yield from _facts(child, f"{path}/{name}")
