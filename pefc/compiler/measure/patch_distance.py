"""The plain and the fast patch of one module on the same numbers, in 64 bits."""

import copy
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.fx import Node
from torch.nn import functional

from ...runtime.attention import attended
from ...runtime.quantized import floating_weight
from ..link import Patches, module_paths, tasks_of
from ..lower import TASK, AttentionFacts, LinearFacts, Site, run
from ..model import SEED, distance
from ..ops import BASE, TOKENS, holds_tokens, shape
from ..passes import quantized_reads as packed
from ..passes.quantized_reads import READINGS
from ..plan import Patched

_ROWS = 8


def patch_distance(
    patched: Patched, patches: Patches, model: nn.Module, task: str | None = None
) -> float:
    """How far the fast patch is from the formula, with the tensors that the model holds now: those
    of one task, and of none.
    """
    module = model.get_submodule(patched.path)
    if tasks_of(patched):
        own = tuple(planned for planned in patched.members if planned.task in {None, task})
        patched = replace(patched, members=own, key=(patched.key, task))
    site = Site(_reader(module, task), _modules(patched, model))
    plain, fast = patches.plain(patched), patches.fast(patched)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    inputs = [_random(port, device) for port in plain.find_nodes(op="placeholder")]
    with torch.no_grad():
        results = [run(graph, site, *inputs) for graph in (plain, fast)]
    first, second = (result for result in results if isinstance(result, Tensor))
    return distance((first,), (second,))


def _random(port: Node, device: torch.device) -> object:
    """A value for a port, the same for one name."""
    value = port.meta["val"]
    if not isinstance(value, Tensor):
        return value
    generator = torch.Generator().manual_seed(SEED + len(str(port.target)))
    size = [_ROWS if length == TOKENS else length for length in shape(port)]
    drawn = torch.randn(size, generator=generator, dtype=torch.float64).to(device)
    if not value.is_floating_point():
        drawn = drawn > 0
    return drawn[None] if holds_tokens(port) else drawn


def _reader(module: nn.Module, task: str | None) -> Callable[[str], object]:
    def read(path: str) -> object:
        found: object = module
        head, _, rest = path.partition(".")
        for part in (f"{task}.{rest}" if head == TASK else path).split("."):
            is_weight = part == "weight" and found is module
            found = floating_weight(module) if is_weight else getattr(found, part)
        return found.double() if isinstance(found, Tensor) and found.is_floating_point() else found

    return read


def _modules(patched: Patched, model: nn.Module) -> Callable[[str], Callable[..., object]]:
    paths = dict(module_paths(patched))

    def named(name: str) -> Callable[..., object]:
        if name in READINGS:
            return _reading(name, model.get_submodule(patched.path))
        if name != BASE:
            return copy.deepcopy(model.get_submodule(paths[name])).double()
        if isinstance(patched.facts, AttentionFacts):
            return _attention
        return _linear(patched, model.get_submodule(patched.path))

    return named


def _reading(name: str, module: nn.Module) -> Callable[..., Tensor]:
    """What a patch reads of a quantized weight."""
    weight = floating_weight(module).double()
    match name:
        case packed.SQUARES:
            return lambda: weight.square().sum(-1)
        case packed.VALUES:
            return lambda: weight
        case _:
            return lambda x: functional.linear(x, weight)


def _attention(q: Tensor, keys: Tensor, values: Tensor, _: int) -> Tensor:
    """A product without a mask."""
    return attended(q, keys.transpose(1, 2), values.transpose(1, 2), q.shape[-1] ** -0.5)


def _linear(patched: Patched, module: nn.Module) -> Callable[[Tensor], Tensor]:
    facts = patched.facts
    assert isinstance(facts, LinearFacts)
    weight = floating_weight(module).double()
    bias = module.get_parameter("bias").double() if facts.bias else None
    oriented = weight.T if facts.transposed else weight
    return lambda x: functional.linear(x, oriented, bias)
