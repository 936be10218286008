"""Demand: which elements of earlier tensors reach given elements of a later one, as masks walked
backwards.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from ..tape import Node, Reference, Tape

Masks = dict[int, Tensor]

_IDENTITIES = frozenset("_to_copy clone alias detach lift_fresh lift contiguous to".split())
_LAYOUTS = frozenset(
    "view _unsafe_view reshape _reshape_alias permute transpose t expand slice select split "
    "split_with_sizes unbind cat stack squeeze unsqueeze repeat roll flip unfold as_strided "
    "constant_pad_nd slice_scatter select_scatter diagonal tril triu narrow movedim "
    "pixel_shuffle unsafe_split unsafe_chunk chunk".split()
)
_FILLS = frozenset(
    "new_empty new_zeros new_ones new_full empty_like zeros_like ones_like full_like "
    "rand_like randn_like".split()
)
"""Operations that take only the shape of their input."""
_REDUCTIONS = frozenset(
    "sum mean amax amin var std linalg_vector_norm norm logsumexp prod any all max min".split()
)
_ALONG = frozenset("_softmax _log_softmax cumsum cumprod sort topk softmax _safe_softmax".split())
_PRODUCTS = {"mm": (0, 1), "bmm": (0, 1), "addmm": (1, 2), "baddbmm": (1, 2)}
"""The positions of the two factors."""


def demand(tape: Tape, seeds: Mapping[int, Tensor], stop: Callable[[Node], bool]) -> Masks:
    """Masks of every node that reaches the seeds; nodes where `stop` holds are reached and not
    passed.

    What is not known of an operation is taken to need all of its inputs, so a mask is never too
    small. What comes from parameters alone is left out.
    """
    masks: Masks = dict(seeds)
    pending = set(masks)
    while pending:
        index = max(pending)
        pending.discard(index)
        node = tape.nodes[index]
        if stop(node):
            continue
        for source, mask in zip(node.inputs, _inputs_of(tape, node, masks[index]), strict=True):
            if not tape.live >> source & 1:
                continue
            masks[source] = masks[source] | mask if source in masks else mask
            pending.add(source)
    return masks


def whole(node: Node) -> Tensor:
    """The mask of every element."""
    return torch.ones(node.shape, dtype=torch.bool)


def _inputs_of(tape: Tape, node: Node, mask: Tensor) -> list[Tensor]:
    sources = [tape.nodes[index] for index in node.inputs]
    if node.kind in _FILLS or not bool(mask.any()):
        return [torch.zeros(source.shape, dtype=torch.bool) for source in sources]
    match node.kind:
        case name if name in _IDENTITIES and len(sources) == 1:
            return [mask.reshape(sources[0].shape)]
        case name if name in _LAYOUTS:
            return _rearranged(node, sources, mask)
        case name if name in _REDUCTIONS and len(sources) == 1:
            return [_unreduced(node, sources[0], mask)]
        case name if name in _ALONG:
            return [_spread(mask, (_dimension(node),)).expand(sources[0].shape)]
        case "native_layer_norm":
            return _normalized(node, sources, mask)
        case name if name in _PRODUCTS:
            return _product(node, sources, mask)
        case "linear":
            return _linear(sources, mask)
        case "index" if all(source.constant is not None for source in sources[1:]):
            return [_taken(node, sources, mask), *(whole(source) for source in sources[1:])]
        case "index" | "index_select" | "embedding":
            return _indexed(node, sources, mask)
        case "copy":
            return [torch.zeros_like(mask), _unbroadcast(mask, sources[1].shape)]
        case "update":
            return _updated(node, mask)
        case _ if (
            not isinstance(node.operation, str) and torch.Tag.pointwise in node.operation.tags
        ):
            return [_unbroadcast(mask, source.shape) for source in sources]
        case _:
            return [whole(source) for source in sources]


def _rearranged(node: Node, sources: list[Node], mask: Tensor) -> list[Tensor]:
    """The gradient of a rearrangement is its inverse, so autograd knows the way back."""
    with torch.enable_grad():
        leaves = [torch.zeros(source.shape, requires_grad=True) for source in sources]
        values = iter(leaves)
        arguments = _filled(node.arguments, values)
        keywords = {key: _filled(value, values) for key, value in node.keywords}
        output = node.operation(*arguments, **keywords)  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]
        if isinstance(output, (tuple, list)):
            output = output[node.result]
        gradients = torch.autograd.grad(output, leaves, mask.float(), allow_unused=True)
    return [
        torch.zeros(source.shape, dtype=torch.bool) if gradient is None else gradient > 0
        for source, gradient in zip(sources, gradients, strict=True)
    ]


def _filled(tree: object, values: "object") -> object:
    match tree:
        case Reference():
            return next(values)  # pyright: ignore[reportArgumentType]
        case tuple() | list():
            return type(tree)(_filled(item, values) for item in tree)
        case _:
            return tree


def _dimension(node: Node) -> int:
    match node.arguments[1:]:
        case (int() as dimension, *_):
            if node.kind == "topk":
                return node.arguments[2] if len(node.arguments) > 2 else -1  # pyright: ignore[reportReturnType]
            return dimension
        case _:
            return int(dict(node.keywords).get("dim", -1))  # pyright: ignore[reportArgumentType]


def _spread(mask: Tensor, dimensions: tuple[int, ...]) -> Tensor:
    return mask.any(dim=dimensions[0], keepdim=True) if mask.ndim else mask


def _unreduced(node: Node, source: Node, mask: Tensor) -> Tensor:
    if mask.ndim == len(source.shape):
        return mask.expand(source.shape)
    match next((a for a in node.arguments[1:] if isinstance(a, (int, list, tuple))), None):
        case int() as dimension:
            dimensions = [dimension]
        case list() | tuple() as given:
            dimensions = list(given)
        case _:
            return whole(source)
    for dimension in sorted(d % len(source.shape) for d in dimensions):
        mask = mask.unsqueeze(dimension)
    return mask.expand(source.shape) if mask.ndim == len(source.shape) else whole(source)


def _normalized(node: Node, sources: list[Node], mask: Tensor) -> list[Tensor]:
    width = len(node.arguments[1])  # pyright: ignore[reportArgumentType]
    if mask.shape != sources[0].shape:
        return [whole(source) for source in sources]
    for dimension in range(mask.ndim - width, mask.ndim):
        mask = mask.any(dim=dimension, keepdim=True)
    return [mask.expand(sources[0].shape), *(whole(source) for source in sources[1:])]


def _product(node: Node, sources: list[Node], mask: Tensor) -> list[Tensor]:
    left, right = _PRODUCTS[node.kind]
    added = sources[:left]
    rows = mask.any(dim=-1, keepdim=True).expand(sources[left].shape)
    columns = mask.any(dim=-2, keepdim=True).expand(sources[right].shape)
    return [*(_unbroadcast(mask, source.shape) for source in added), rows, columns]


def _linear(sources: list[Node], mask: Tensor) -> list[Tensor]:
    features = mask.reshape(-1, mask.shape[-1]).any(dim=0)
    data = mask.any(dim=-1, keepdim=True).expand(sources[0].shape)
    weight = features.unsqueeze(-1).expand(sources[1].shape)
    return [data, weight, *(features for _ in sources[2:])]


def _indexed(node: Node, sources: list[Node], mask: Tensor) -> list[Tensor]:
    """Rows taken along one axis: any of them may be the one that is needed, within a row all stays
    apart.
    """
    axis, width = 0, len(sources[-1].shape)
    if node.kind == "index_select":
        axis, width = int(node.arguments[1]), 1  # pyright: ignore[reportArgumentType]
    if node.kind == "index":
        places = [i for i, item in enumerate(node.arguments[1]) if item is not None]  # pyright: ignore[reportArgumentType]
        if len(places) != 1:
            return [whole(source) for source in sources]
        axis = places[0]
    for dimension in range(axis, axis + width):
        mask = mask.any(dim=dimension, keepdim=True)
    mask = mask.squeeze(tuple(range(axis, axis + width))) if width else mask
    data = mask.unsqueeze(axis).expand(sources[0].shape)
    return [data, *(whole(source) for source in sources[1:])]


def _taken(node: Node, sources: list[Node], mask: Tensor) -> Tensor:
    """Rows taken at places that the program states."""
    places = iter([source.constant for source in sources[1:]])
    index = tuple(slice(None) if item is None else next(places) for item in node.arguments[1])  # pyright: ignore[reportGeneralTypeIssues]
    taken = torch.zeros(sources[0].shape)
    taken.index_put_(tuple(_all_of(taken, index)), mask.float(), accumulate=True)
    return taken > 0


def _all_of(data: Tensor, index: tuple[slice | Tensor | None, ...]) -> Iterator[Tensor]:
    """`index_put` has no slices: the places of all axes, as they stand in the result of the
    indexing.
    """
    for axis, size in enumerate(data.shape):
        shape = [1] * data.ndim
        shape[axis] = size
        yield torch.arange(size).reshape(shape).expand(data.shape)[index]


def _updated(node: Node, mask: Tensor) -> list[Tensor]:
    """Where the written view lies, what is needed is the new value; elsewhere the old one."""
    places, written = (_places(geometry) for geometry in node.arguments[2:])
    size = 1 + max(int(places.max()), int(written.max()))
    needed, covered = torch.zeros(size, dtype=torch.bool), torch.zeros(size, dtype=torch.bool)
    needed[places[mask]] = True
    covered[written] = True
    return [mask & ~covered[places], needed[written]]


def _places(geometry: object) -> Tensor:
    """The offset in the storage of each element of a view."""
    shape, strides, offset = geometry  # pyright: ignore[reportGeneralTypeIssues]
    places = torch.full(shape, offset)
    for axis, (size, stride) in enumerate(zip(shape, strides, strict=True)):
        steps = [1] * len(shape)
        steps[axis] = size
        places = places + (torch.arange(size) * stride).reshape(steps)
    return places


def _unbroadcast(mask: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A mask of a broadcast result, on one of the operands."""
    while mask.ndim > len(shape):
        mask = mask.any(dim=0)
    for dimension, size in enumerate(shape):
        if size == 1 and mask.shape[dimension] != 1:
            mask = mask.any(dim=dimension, keepdim=True)
    return mask.expand(shape)
