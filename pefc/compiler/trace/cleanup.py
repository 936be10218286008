"""Cleaning: what an exported graph says and does not mean goes away before it is made a hierarchy.

A cast to the type that a tensor has, a slice that takes all of an axis, assertions about metadata:
their results would stand as aliases between modules, `getitem(norm(x), 0)` where `x` was meant.
"""

import sys
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.fx import Graph, Node

_ASSERTIONS = frozenset(
    {"_assert_tensor_metadata", "_assert_scalar", "_assert_async", "sym_constrain_range_for_size"}
)
_CASTS = frozenset({"to", "_to_copy"})


def clean(graph: Graph) -> None:
    """Take no-ops out of a graph, in place."""
    for node in list(graph.nodes):
        name = operator_name(node)
        if name in _ASSERTIONS:
            graph.erase_node(node)
        elif name is not None and _is_nothing(node, name):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
    for node in reversed(list(graph.nodes)):
        if node.op in ("call_function", "get_attr") and not node.users and not _has_effect(node):
            graph.erase_node(node)


def operator_name(node: Node) -> str | None:
    """The bare name of an aten operation."""
    if node.op != "call_function" or not isinstance(node.target, torch._ops.OpOverload):
        return None
    return node.target._schema.name.removeprefix("aten::")


def _is_nothing(node: Node, name: str) -> bool:
    if name in _CASTS:
        return _same(node, node.args[0])
    if name == "slice":
        given = (*node.args[2:], *(0, sys.maxsize, 1)[len(node.args) - 2 :])
        return given in ((0, sys.maxsize, 1), (None, sys.maxsize, 1), (0, None, 1), (None, None, 1))
    return name == "alias"


def _same(node: Node, source: object) -> bool:
    """The cast changes neither type nor device, and nobody asked for a copy."""
    if not isinstance(source, Node) or True in node.args or node.kwargs.get("copy"):
        return False
    before, after = source.meta.get("val"), node.meta.get("val")
    if not isinstance(before, Tensor) or not isinstance(after, Tensor):
        return False
    return bool(before.dtype == after.dtype and before.device == after.device)


def _has_effect(node: Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return bool(schema is not None and schema.is_mutable)


def replaced_dropouts(graph: Graph) -> Iterator[tuple[Node, str, float]]:
    """(node, operation, p) of every operation in a graph that draws a dropout mask."""
    for node in list(graph.nodes):
        match operator_name(node), node.args:
            case "dropout", (_, float() | int() as p, *_):
                yield node, "dropout", float(p)
            case "scaled_dot_product_attention", (_, _, _, _, float() | int() as p, *_):
                yield node, "attention", float(p)
            case _:
                continue
