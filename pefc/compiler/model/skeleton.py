"""The skeleton: a copy of a model whose tensors hold nothing, with long lists cut short."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from transformers import PretrainedConfig

from ...runtime.patched import base_class
from .modules import is_transposed


@dataclass(frozen=True, slots=True)
class Cut:
    """A list of modules of which the copy has only the first ones."""

    path: str
    kept: int


def skeleton(
    model: nn.Module, cuts: Sequence[Cut], *, device: torch.device, keep_types: bool
) -> nn.Module:
    """A copy, in evaluation mode, without hooks; made under a fake mode it takes no memory.

    With `keep_types` its tensors have the types of the model's, else floating ones are of single
    precision.
    """
    emptying = _Emptying(device, keep_types=keep_types)
    memo: dict[int, object] = {}
    for module in _kept_modules(model, cuts):
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None and id(tensor) not in memo:
                memo[id(tensor)] = emptying.empty(tensor)
        if isinstance(module, nn.Linear) and type(module) is not nn.Linear:
            memo[id(module)] = _plain_linear(module, memo)
    with emptying:
        for cut in cuts:
            original = model.get_submodule(cut.path)
            memo[id(original)] = copy.deepcopy(_first(original, cut.kept), memo)
        copied: nn.Module = copy.deepcopy(model, memo)
    for module in copied.modules():
        without_hooks(module)
    _configure(copied)
    return copied.eval()


def _kept_modules(model: nn.Module, cuts: Sequence[Cut]) -> Iterator[nn.Module]:
    dropped = {
        id(module)
        for cut in cuts
        for element in tuple(model.get_submodule(cut.path).children())[cut.kept :]
        for module in element.modules()
    }
    return (module for module in model.modules() if id(module) not in dropped)


def _first(container: nn.Module, count: int) -> nn.Module:
    shortened = object.__new__(type(container))
    shortened.__dict__.update(vars(container))
    shortened.__dict__["_modules"] = dict(list(container._modules.items())[:count])
    return shortened


def _plain_linear(module: nn.Linear, memo: Mapping[int, object]) -> nn.Linear:
    """The linear map under a quantized or patched one, whose weight may be packed."""
    plain = nn.Linear(module.in_features, module.out_features, bias=module.bias is not None)
    weight = memo.get(id(module.weight))
    if isinstance(weight, nn.Parameter) and weight.shape == plain.weight.shape:
        plain.weight = weight
    return plain.requires_grad_(requires_grad=False)


class _Emptying(TorchFunctionMode):
    """Copies of tensors hold nothing, also of those that modules keep as plain attributes."""

    def __init__(self, device: torch.device, *, keep_types: bool) -> None:
        super().__init__()
        self.device = device
        self.keep_types = keep_types

    def empty(self, tensor: Tensor) -> Tensor:
        is_cast = tensor.is_floating_point() and not self.keep_types
        dtype = torch.float32 if is_cast else tensor.dtype
        empty = torch.empty(tensor.shape, dtype=dtype, device=self.device)
        return (
            nn.Parameter(empty, requires_grad=False) if isinstance(tensor, nn.Parameter) else empty
        )

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        if func is Tensor.__deepcopy__:
            return self.empty(args[0])
        return func(*args, **(kwargs or {}))


def without_hooks(module: nn.Module) -> None:
    """Let a module of a copy run the forward of its class and nothing else."""
    module._forward_hooks.clear()
    module._forward_pre_hooks.clear()
    module.__dict__.pop("forward", None)
    if hasattr(module, "gradient_checkpointing"):
        setattr(module, "gradient_checkpointing", False)  # noqa: B010
    if is_transposed(module):
        module._modules.clear()
        module.__class__ = base_class(module)


def _configure(model: nn.Module) -> None:
    """No caches, no kernels that need their device, experts as one product: none of it changes a
    role.
    """
    for config in _configs(model):
        config.use_cache = False
        config.return_dict = True
        config._experts_implementation = "batched_mm"
        if config._attn_implementation not in ("eager", "sdpa", None):
            config._attn_implementation = (
                "sdpa" if getattr(model, "_supports_sdpa", False) else "eager"
            )


def _configs(model: nn.Module) -> tuple[PretrainedConfig, ...]:
    """The configurations of the model and of its parts, which may keep copies."""
    found: dict[int, PretrainedConfig] = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        if isinstance(config, PretrainedConfig):
            found[id(config)] = config
            found[id(config.get_text_config())] = config.get_text_config()
    return tuple(found.values())
