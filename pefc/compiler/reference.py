"""The plain and the fast patch of one module on the same numbers, in 64 bits."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from .exercise import SEED, distance
from .lower import Site, run
from .patches import Patches
from .plan import Patched

_ROWS = 8


def patch_distance(patched: Patched, patches: Patches, model: nn.Module) -> float:
    """How far the fast patch is from the formula, with the tensors that the model holds now."""
    module = model.get_submodule(patched.path)
    site = Site(_reader(module), _base(patched, module))
    generator = torch.Generator().manual_seed(SEED)
    x = torch.randn(_ROWS, patched.facts.inputs, generator=generator, dtype=torch.float64)
    x = x.to(module.get_parameter("weight").device)
    with torch.no_grad():
        plain, fast = (
            run(graph, site, x) for graph in (patches.plain(patched), patches.fast(patched))
        )
    assert isinstance(plain, Tensor)
    assert isinstance(fast, Tensor)
    return distance((plain,), (fast,))


def _reader(module: nn.Module) -> Callable[[str], object]:
    def read(path: str) -> object:
        found: object = module
        for part in path.split("."):
            found = getattr(found, part)
        return found.double() if isinstance(found, Tensor) and found.is_floating_point() else found

    return read


def _base(patched: Patched, module: nn.Module) -> Callable[[Tensor], Tensor]:
    weight = module.get_parameter("weight").double()
    bias = module.get_parameter("bias").double() if patched.facts.bias else None
    oriented = weight.T if patched.facts.transposed else weight
    return lambda x: functional.linear(x, oriented, bias)
