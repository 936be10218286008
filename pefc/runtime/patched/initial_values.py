"""Random initial values, by the names that formulas use."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from zlib import crc32

import torch
from torch import Generator, Tensor
from torch.nn import init

Draw = Callable[..., object]
PAIRED = "paired"
"""Takes another distribution, its name and its arguments."""


def _kaiming(tensor: Tensor, slope: float, *, generator: Generator | None) -> None:
    init.kaiming_uniform_(tensor, a=slope, generator=generator)


def _normal(
    tensor: Tensor, mean: float = 0.0, deviation: float = 1.0, *, generator: Generator | None
) -> None:
    init.normal_(tensor, mean, deviation, generator=generator)


def _truncated(
    tensor: Tensor, mean: float, deviation: float, *, generator: Generator | None
) -> None:
    low, high = mean - 2 * deviation, mean + 2 * deviation
    init.trunc_normal_(tensor, mean, deviation, low, high, generator=generator)


def _uniform(
    tensor: Tensor, low: float = 0.0, high: float = 1.0, *, generator: Generator | None
) -> None:
    init.uniform_(tensor, low, high, generator=generator)


def _xavier(tensor: Tensor, *, generator: Generator | None) -> None:
    init.xavier_uniform_(tensor, generator=generator)


def _orthogonal(tensor: Tensor, *, generator: Generator | None) -> None:
    # There is no solver below 32 bits.
    wide = tensor.to(torch.promote_types(tensor.dtype, torch.float32))
    tensor.copy_(init.orthogonal_(wide, generator=generator))


def _paired(tensor: Tensor, name: str, *arguments: object, generator: Generator | None) -> None:
    """Columns that come in pairs of equal ones, drawn by another distribution."""
    drawn = tensor[:, ::2].clone()
    DISTRIBUTIONS[name](drawn, *arguments, generator=generator)
    tensor.copy_(drawn.repeat_interleave(2, 1))


def _linear_default(tensor: Tensor, *, generator: Generator | None) -> None:
    init.kaiming_uniform_(tensor, a=math.sqrt(5), generator=generator)


DISTRIBUTIONS: Mapping[str, Draw] = {
    "kaiming": _kaiming,
    "normal": _normal,
    "truncated": _truncated,
    "uniform": _uniform,
    "xavier": _xavier,
    "orthogonal": _orthogonal,
    "linear_default": _linear_default,
    PAIRED: _paired,
}


def draw(
    name: str, arguments: tuple[object, ...], tensor: Tensor, seed: int | None, salt: str
) -> None:
    """Fill a tensor at random; a seed fixes it, and `salt` keeps two tensors of one seed apart.

    Values are drawn in 32 bits on the CPU where a seed is given, so that they are the same on every
    device.
    """
    if tensor.is_meta:
        return
    if seed is None:
        DISTRIBUTIONS[name](tensor, *arguments, generator=None)
        return
    generator = torch.Generator().manual_seed((seed + crc32(salt.encode())) % 2**63)
    drawn = torch.empty(tensor.shape, dtype=torch.float32)
    DISTRIBUTIONS[name](drawn, *arguments, generator=generator)
    tensor.copy_(drawn)


def draw_rows(tensor: Tensor, table: Tensor) -> None:
    """Fill the rows of a tensor with rows of a table, each drawn at random."""
    if not tensor.is_meta:
        rows = torch.randint(table.shape[0], tensor.shape[:1], device=table.device)
        tensor.copy_(table[rows])


def draw_positions(tensor: Tensor, count: int, seed: int) -> None:
    """Fill a tensor with different numbers below `count`, in an order that a seed fixes."""
    if not tensor.is_meta:
        order = torch.randperm(count, generator=Generator().manual_seed(seed))
        tensor.copy_(order[: len(tensor)])


@contextmanager
def undrawn(devices: Iterable[torch.device]) -> Iterator[None]:
    """Put the random states of torch back where what is inside fails or is interrupted, so that it
    has drawn nothing.
    """
    others = [(torch.get_device_module(d), d) for d in devices if d.type not in {"cpu", "meta"}]
    state = torch.get_rng_state()
    states = [module.get_rng_state(device) for module, device in others]
    try:
        yield
    except BaseException:
        torch.set_rng_state(state)
        for (module, device), earlier in zip(others, states, strict=True):
            module.set_rng_state(earlier, device)
        raise
