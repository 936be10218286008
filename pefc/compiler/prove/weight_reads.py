"""What a patch needs of its base weight: a quantized base can give products cheaply, values only at
a price.
"""

from enum import StrEnum

import torch
from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import CREATORS
from ..passes.low_rank_norm import row_products
from ..passes.rewriter import is_call, is_weight


class Need(StrEnum):
    """What is read of W beside the base map itself."""

    NOTHING = "nothing"
    PRODUCT = "product"
    VALUES = "values"


def need(graph: Graph) -> Need:
    """The most that any node of a fast patch reads."""
    found = Need.NOTHING
    for node in graph.nodes:
        if node.target in CREATORS or is_weight(node):
            continue
        if any(is_weight(operand) for operand in node.all_input_nodes):
            if not _is_product(node):
                return Need.VALUES
            found = Need.PRODUCT
    return found


def _is_product(node: Node) -> bool:
    """A product with a thin matrix, the dtype, or the squared norms of the rows, which are
    constants of the base.
    """
    if is_call(node, torch.Tensor.type_as):
        return True
    if is_call(node, row_products):
        return all(is_weight(operand) for operand in node.args)
    return (
        is_call(node, functional.linear) and is_weight(node.args[1]) and not is_weight(node.args[0])
    )
