"""What a patch returns has the dtype of what it replaces."""

from dataclasses import dataclass

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import BASE, axes, call
from .fuse_addmm import addmm_rows
from .rewriter import is_call, is_weight

_GIVEN = "y"
"""The port of what a block gave."""


@dataclass(frozen=True, slots=True)
class KeepDtype:
    """`y --> y.type_as(base(x))`, where y may have been promoted.

    Under autocast the base gives 16 bits and the tensors of a method have 32: without this the
    layers behind would see another dtype than before.
    """

    name: str = "keep-dtype"

    def __call__(self, graph: Graph) -> Graph:
        output = graph.output_node()
        result = output.args[0]
        like = next((node for node in graph.nodes if _is_base(node)), None)
        if like is None or not isinstance(result, Node) or _has_dtype_of_base(result):
            return graph
        with graph.inserting_before(output):
            kept = call(graph, torch.Tensor.type_as, result, like, axes=axes(result))
        output.args = (kept,)
        return graph


def _is_base(node: Node) -> bool:
    """The base map, or its product without the bias; a block is given what it replaces."""
    return node.target in {BASE, _GIVEN} or (
        is_call(node, functional.linear) and is_weight(node.args[1])
    )


def _has_dtype_of_base(node: Node) -> bool:
    """A base call, or what is summed onto one."""
    if is_call(node, addmm_rows, torch.slice_scatter, torch.index_copy):
        return isinstance(node.args[0], Node) and _has_dtype_of_base(node.args[0])
    return node.target in {BASE, _GIVEN} or is_call(node, torch.Tensor.type_as)
