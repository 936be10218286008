"""Frozen tensors of a method have the dtype of those that train.

They are made in one dtype, and may come to a call in two: `fully_shard` casts parameters for
mixed precision, and frozen tensors are buffers, which it leaves alone.
"""

from torch import Tensor
from torch.fx import Graph, Node

from ..lower.attached import TASK


def following(graph: Graph) -> Graph:
    """`self.vera.A --> followed(self.vera.A, self.vera.d)`, in a graph of its own where there is
    something frozen beside something that trains.
    """
    leaders = {node: leader for node in graph.nodes if (leader := _leader(graph, node)) is not None}
    if not leaders:
        return graph
    fresh = Graph()
    copies: dict[Node, Node] = {}

    def copied(node: Node) -> Node:
        if node not in copies:
            copies[node] = fresh.node_copy(node, lambda other: copies[other])
        return copies[node]

    for node in graph.nodes:
        copied(node)
        if node in leaders:
            copies[node] = fresh.call_function(followed, (copies[node], copied(leaders[node])))
    return fresh


def followed(frozen: Tensor, trained: Tensor) -> Tensor:
    """A tensor in the dtype of another."""
    return frozen if frozen.dtype == trained.dtype else frozen.to(trained.dtype)


def _leader(graph: Graph, node: Node) -> Node | None:
    """A tensor of the same method that trains, for one that is frozen."""
    if not _is_of_method(node, trained=False) or all(
        user.target is followed for user in node.users
    ):
        return None
    return next(
        (
            other
            for other in graph.find_nodes(op="get_attr")
            if _is_of_method(other, trained=True) and _method(other) == _method(node)
        ),
        None,
    )


def _is_of_method(node: Node, *, trained: bool) -> bool:
    """Whether a node reads a floating tensor of a method, which trains or does not."""
    is_one = node.op == "get_attr" and node.meta.get("trained") is trained
    return is_one and node.meta["val"].is_floating_point()


def _method(node: Node) -> str:
    """Where the tensors of the method of a node are."""
    first, second, *_ = str(node.target).split(".")
    return f"{first}.{second}" if first == TASK else first
