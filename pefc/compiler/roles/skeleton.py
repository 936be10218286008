"""The skeleton: a small copy of a model without memory, with each distinct layer once or a few times."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ..families import is_transposed, linear_width

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
    """What two layers must agree in to have the same roles; numbers that merely count the layers are left out."""
    facts = [dict(_facts(layer, "")) for layer in layers]
    counting = {
        name
        for name, value in facts[0].items()
        if type(value) is int and len(facts) > 1
        and all(fact.get(name) == value + index for index, fact in enumerate(facts))
    }
    return tuple(tuple((name, value) for name, value in fact.items() if name not in counting) for fact in facts)


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


def skeleton(model: nn.Module, stacks: tuple[Stack, ...]) -> nn.Module:
    """A copy in which the stacks are cut after their last new structure; under a fake mode its tensors hold nothing."""
    memo: dict[int, object] = {}
    for module in _kept_modules(model, stacks):
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None and id(tensor) not in memo:
                memo[id(tensor)] = _emptied(tensor)
        if isinstance(module, nn.Linear) and type(module) is not nn.Linear:
            memo[id(module)] = _plain_linear(module, memo)
    with _Emptying():
        for stack in stacks:
            original = model.get_submodule(stack.path)
            shortened = _first(original, stack.kept)
            memo[id(original)] = copy.deepcopy(shortened, memo)
        copied: nn.Module = copy.deepcopy(model, memo)
    for module in copied.modules():
        _without_hooks(module)
    _configure(copied)
    return copied.eval()


def _kept_modules(model: nn.Module, stacks: tuple[Stack, ...]) -> Iterator[nn.Module]:
    dropped = {
        id(module)
        for stack in stacks
        for element in tuple(model.get_submodule(stack.path).children())[stack.kept :]
        for module in element.modules()
    }
    return (module for module in model.modules() if id(module) not in dropped)


def _first(container: nn.Module, count: int) -> nn.Module:
    shortened = object.__new__(type(container))
    shortened.__dict__.update(vars(container))
    shortened.__dict__["_modules"] = dict(list(container._modules.items())[:count])
    return shortened


def _emptied(tensor: Tensor) -> Tensor:
    dtype = torch.float32 if tensor.is_floating_point() else tensor.dtype
    empty = torch.empty(tensor.shape, dtype=dtype)
    return nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty


def _plain_linear(module: nn.Linear, memo: Mapping[int, object]) -> nn.Linear:
    """The linear map under a quantized or patched one, whose weight may be packed."""
    plain = nn.Linear(module.in_features, module.out_features, bias=module.bias is not None)
    weight = memo.get(id(module.weight))
    if isinstance(weight, nn.Parameter) and weight.shape == plain.weight.shape:
        plain.weight = weight
    return plain.requires_grad_(requires_grad=False)


class _Emptying(TorchFunctionMode):
    """Copies of tensors that modules keep as plain attributes hold nothing either."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is Tensor.__deepcopy__:
            return _emptied(args[0])
        return func(*args, **(kwargs or {}))


def _without_hooks(module: nn.Module) -> None:
    module._forward_hooks.clear()
    module._forward_pre_hooks.clear()
    module.__dict__.pop("forward", None)
    if is_transposed(module):
        module._modules.clear()
        module.__class__ = next(cls for cls in type(module).__mro__ if cls.__name__ == "Conv1D")


def _configure(model: nn.Module) -> None:
    """No caches, no kernels that need their device, experts as one product: none of it changes a role."""
    config = getattr(model, "config", None)
    if config is None or not hasattr(config, "get_text_config"):
        return
    for part in {id(c): c for c in (config, config.get_text_config())}.values():
        part.use_cache = False
        part.return_dict = True
        part._experts_implementation = "batched_mm"
    if config._attn_implementation not in ("eager", "sdpa"):
        config._attn_implementation = "sdpa" if getattr(model, "_supports_sdpa", False) else "eager"
