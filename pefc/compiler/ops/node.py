"""Nodes of a patch graph: calls of torch functions that know the shape of their value and the names
of its axes.
"""

from collections.abc import Callable

import torch
from torch.fx import Graph, Node

Axes = tuple[str | None, ...]
Value = "int | float | bool | str | None | tuple[object, ...] | Node"

TOKENS = 1024
"""Rows of the nominal input with which shapes and costs are worked out; patches take any leading
dims.
"""


TOKEN_AXIS = "tokens"
"""The name of the axis that stands for all leading axes of x."""


def shape(node: Node) -> tuple[int, ...]:
    """The shape of a node's value for the nominal input."""
    return tuple(node.meta["val"].shape)


def axes(node: Node) -> Axes:
    """The dim that each axis of a node's value stands for, where that is known."""
    return node.meta["axes"]


def holds_tokens(node: Node) -> bool:
    """The first axis stands for all leading axes of x, however many it has."""
    return axes(node)[:1] == (TOKEN_AXIS,)


def shown(node: Node) -> str:
    """The shape of a node's value as messages show it: `[..., 64]` of what holds tokens."""
    sizes = [str(size) for size in shape(node)]
    if holds_tokens(node):
        sizes[0] = "..."
    return f"[{', '.join(sizes)}]"


def call(
    graph: Graph,
    function: Callable[..., object],
    *args: object,
    axes: Axes | None = None,
    **kwargs: object,
) -> Node:
    """Append a call; its shape comes from running it on meta tensors.

    Raises what torch raises where shapes do not fit.
    """
    value = function(*(_meta(a) for a in args), **{k: _meta(v) for k, v in kwargs.items()})
    node = graph.call_function(function, args, kwargs)  # pyright: ignore[reportArgumentType]
    return annotated(node, value, axes)


def attribute(
    graph: Graph,
    target: str,
    size: tuple[int, ...],
    axes: Axes,
    dtype: torch.dtype = torch.float32,
) -> Node:
    """A tensor of the site, by its path from the site's module; the same node for the same path."""
    for node in graph.find_nodes(op="get_attr"):
        if node.target == target:
            return node
    with graph.inserting_before(_first(graph)):
        node = graph.create_node("get_attr", target)
    return annotated(node, torch.empty(size, dtype=dtype, device="meta"), axes)


def flag(graph: Graph, target: str) -> Node:
    """A switch of the site's module, such as `training`."""
    node = graph.create_node("get_attr", target)
    node.meta.update(val=False, axes=())
    return node


def placeholder(graph: Graph, name: str, size: tuple[int, ...], axes: Axes) -> Node:
    """A port that the patch reads from its caller."""
    return annotated(graph.placeholder(name), torch.empty(size, device="meta"), axes)


def constant_port(graph: Graph, name: str, value: object) -> Node:
    """A port that is no tensor, with a value that stands for any."""
    node = graph.placeholder(name)
    node.meta.update(val=value, axes=())
    return node


def module_call(graph: Graph, name: str, x: Node, outputs: int) -> Node:
    """A call of another module of the model, over the last axis."""
    node = graph.create_node("call_module", name, (x,))
    return annotated(node, torch.empty((*shape(x)[:-1], outputs), device="meta"), axes(x))


def attention_call(
    graph: Graph, operands: tuple[Node | int, ...], size: tuple[int, ...], names: Axes
) -> Node:
    """The attention as the model computes it, of (q, keys, values, extra)."""
    node = graph.create_node("call_module", BASE, operands)
    return annotated(node, torch.empty(size, device="meta"), names)


def base_call(graph: Graph, x: Node, outputs: int) -> Node:
    """The site's own forward, as the model's author wrote it."""
    node = graph.create_node("call_module", BASE, (x,))
    value = torch.empty((*shape(x)[:-1], outputs), device="meta")
    return annotated(node, value, (*axes(x)[:-1], "out"))


BASE = "base_forward"
"""The name under which a patch calls what the site computes by itself."""


def _first(graph: Graph) -> Node:
    """The node before which attributes go: behind the placeholders."""
    return next((n for n in graph.nodes if n.op != "placeholder"), graph._root)


def annotated(node: Node, value: object, names: Axes | None) -> Node:
    """Note the value of a node, for its shape alone, and what its axes are."""
    if isinstance(value, torch.Tensor) and not value.is_meta:
        value = torch.empty_like(value, device="meta")
    node.meta["val"] = value
    rank = value.dim() if isinstance(value, torch.Tensor) else 0
    node.meta["axes"] = names if names is not None and len(names) == rank else (None,) * rank
    return node


def _meta(argument: object) -> object:
    if isinstance(argument, Node):
        return argument.meta["val"]
    if isinstance(argument, tuple | list):
        return type(argument)(_meta(item) for item in argument)
    return argument
