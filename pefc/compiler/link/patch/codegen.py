"""From patch graphs to functions of the module that they stand on."""

from collections.abc import Callable

from torch.fx import Graph, Node
from torch.fx.node import map_arg

from ....runtime.patched import compiled_function
from ...ops import BASE
from .casts import with_casts

_CALL = "call"
"""The port under which an attention's patch is given the product as the model computes it."""


def function(graph: Graph) -> Callable[..., object]:
    """`(module, *ports) -> values` of a patch; it finds tensors and other modules in the module."""
    graph = with_casts(graph)
    code = graph.python_code("self", verbose=False)
    return compiled_function(_direct(code.src, graph), code.globals)


def with_call(graph: Graph) -> Graph:
    """`self.base_forward(q, …) --> call(q, …)`, where `call` is a port: one for each call of the
    module.
    """
    fresh = Graph()
    port = fresh.placeholder(_CALL)
    copies: dict[Node, Node] = {}
    for node in graph.nodes:
        if node.op == "call_module" and node.target == BASE:
            arguments = map_arg(node.args, lambda other: copies[other])
            copies[node] = fresh.call_function(called, (port, *arguments))  # pyright: ignore[reportGeneralTypeIssues]
            copies[node].meta.update(node.meta)
        else:
            copies[node] = fresh.node_copy(node, lambda other: copies[other])
    return fresh


def called(call: Callable[..., object], *operands: object) -> object:
    """The call of a port that is a function."""
    return call(*operands)


def _direct(source: str, graph: Graph) -> str:
    """Read tensors from the dicts that modules keep them in: attribute access of a module is slow
    in a decoding step.
    """
    for node in graph.find_nodes(op="get_attr"):
        if "trained" not in node.meta:
            continue
        first, *parents, name = str(node.target).split(".")
        store = "_parameters" if node.meta["trained"] else "_buffers"
        inner = "".join(f".{p}" if p == "shared" else f"._modules[{p!r}]" for p in parents)
        source = source.replace(
            f" = self.{node.target}\n", f" = self._modules[{first!r}]{inner}.{store}[{name!r}]\n"
        )
    return source
