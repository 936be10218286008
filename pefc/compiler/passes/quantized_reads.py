"""A quantized weight is read by what it can give cheaply."""

from dataclasses import dataclass

from torch.fx import Graph, Node
from torch.nn import functional

from ..ops import annotated, axes, holds_tokens
from .low_rank_norm import row_products
from .rewriter import everywhere, is_call, is_weight

PRODUCT = "base_product"
"""The name under which a patch calls the product with the base weight, without bias."""
THIN = "base_thin_product"
"""The product with the base weight of a method's own rows."""
SQUARES = "base_squares"
"""The squared norms of the rows of the base weight."""
VALUES = "base_values"
"""The base weight itself, worked out anew."""
READINGS = (PRODUCT, THIN, SQUARES, VALUES)


@dataclass(frozen=True, slots=True)
class ReadPacked:
    """`linear(x, W) --> base_product(x)`, `linear(A, W) --> base_thin_product(A)`, `row_products(W,
    W) --> base_squares()`; what else reads W reads `base_values()`.
    """

    name: str = "read-packed"

    def __call__(self, graph: Graph) -> Graph:
        graph = everywhere(graph, _read)
        weight = next((node for node in graph.nodes if is_weight(node)), None)
        if weight is None or not weight.users:
            return graph
        with graph.inserting_before(weight):
            values = _call(graph, VALUES, (), weight)
        values.meta.update(weight.meta)
        weight.replace_all_uses_with(values)
        graph.erase_node(weight)
        return graph


def _read(graph: Graph, node: Node) -> Node | None:
    if is_call(node, functional.linear) and is_weight(node.args[1]):
        bias = node.args[2] if len(node.args) > 2 else None
        if bias is not None:
            return None
        x = node.args[0]  # pyright: ignore[reportGeneralTypeIssues]
        name = PRODUCT if holds_tokens(x) else THIN  # pyright: ignore[reportArgumentType]
        return _call(graph, name, (x,), node)
    if is_call(node, row_products) and all(is_weight(operand) for operand in node.args):
        return _call(graph, SQUARES, (), node)
    return None


def _call(graph: Graph, name: str, operands: tuple[object, ...], like: Node) -> Node:
    node = graph.create_node("call_module", name, operands)  # pyright: ignore[reportArgumentType]
    return annotated(node, like.meta["val"], axes(like))
