"""A model put through its paces: random inputs, its outputs, and digests of what it holds."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from .example_inputs import Size, example_inputs

SEED = 20
SIZE = Size(batch=2, length=12, masked=True)
_MASK = "attention_mask"
_PADDING = 3


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a forward is called with."""

    positional: tuple[Tensor, ...]
    named: Mapping[str, Tensor]


def random_inputs(model: nn.Module) -> Inputs:
    """Inputs that differ in every place, the same ones each time."""
    generator = torch.Generator().manual_seed(SEED)
    device = next(model.parameters()).device
    dtype = next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)
    tokens = vocabulary(model)

    def random(example: Tensor) -> Tensor:
        if example.is_floating_point():
            return torch.randn(example.shape, generator=generator).to(device, dtype)
        return torch.randint(tokens, example.shape, generator=generator).to(device)

    examples = example_inputs(model, SIZE)
    made = {name: random(example) for name, example in examples.items() if name != _MASK}
    if _MASK in examples:
        made[_MASK] = _padded(examples[_MASK]).to(device)
    positional = tuple(value for name, value in made.items() if name.isdigit())
    return Inputs(positional, {name: value for name, value in made.items() if not name.isdigit()})


def _padded(mask: Tensor) -> Tensor:
    """A mask that leaves the end of the first row out."""
    mask = mask.clone()
    mask[0, -_PADDING:] = 0
    return mask


def vocabulary(model: nn.Module) -> int:
    """How many tokens every embedding of tokens knows: as the config says, or the largest one."""
    config: object = getattr(model, "config", None)
    stated = getattr(config, "vocab_size", None)
    if isinstance(stated, int):
        return stated
    sizes = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
    return max(sizes, default=2)


def outputs(model: nn.Module, inputs: Inputs) -> tuple[Tensor, ...]:
    """The floating tensors that a forward returns, caches aside."""
    config: object = getattr(model, "config", None)
    is_caching = getattr(config, "use_cache", None) is not None
    result = model(
        *inputs.positional, **inputs.named, **({"use_cache": False} if is_caching else {})
    )
    values = tuple(result.values()) if isinstance(result, Mapping) else result
    return tuple(
        leaf
        for leaf in tree_leaves(values)
        if isinstance(leaf, Tensor) and leaf.is_floating_point()
    )


def gradients(results: Iterable[Tensor], parameters: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The gradients of a fixed random sum of outputs; zero for a parameter with no part in them."""
    generator = torch.Generator().manual_seed(SEED)
    total: Tensor | float = 0.0
    for result in results:
        if result.requires_grad:
            weights = torch.randn(result.shape, generator=generator).to(result)
            total = total + (result * weights).sum()
    wanted = tuple(parameters)
    assert isinstance(total, Tensor)
    found = torch.autograd.grad(total, wanted, allow_unused=True)
    return tuple(
        torch.zeros_like(p) if g is None else g for g, p in zip(found, wanted, strict=True)
    )


@torch.no_grad()
def distance(first: Iterable[Tensor], second: Iterable[Tensor]) -> float:
    """‖first − second‖ / ‖first‖ over all tensors, in 64 bits; 0.0 only where all bits agree."""
    apart, whole = 0.0, 0.0
    for left, right in zip(first, second, strict=True):
        if not torch.equal(left, right):
            apart += float((left.double() - right.double()).square().sum())
        whole += float(left.double().square().sum())
    if not math.isfinite(apart):
        return math.inf
    return math.sqrt(apart / whole) if whole else math.sqrt(apart)


def digests(model: nn.Module) -> dict[str, str]:
    """For each parameter and buffer, what tells its bits, flag and module class from others."""
    classes = {path: type(module) for path, module in model.named_modules(remove_duplicate=False)}
    named = {
        **dict(model.named_parameters(remove_duplicate=False)),
        **dict(model.named_buffers(remove_duplicate=False)),
    }
    return {
        name: f"{_digest(t)} {id(classes[name.rpartition('.')[0]])}" for name, t in named.items()
    }


def _digest(tensor: Tensor) -> str:
    flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    bits = hashlib.blake2b(flat.numpy(), digest_size=16).hexdigest()  # pyright: ignore[reportArgumentType]
    return f"{bits} {tensor.dtype} {tensor.requires_grad}"
