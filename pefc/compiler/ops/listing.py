"""A graph as lines that people read: one operation each, with the shape of its result."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.fx import Graph, GraphModule, Node

from .node import holds_tokens

_INFIX = {"matmul": "@", "add": "+", "sub": "-", "mul": "*", "div": "/"}
RESULT = "y"
_END = 2**63 - 1
"""How a trace writes a slice that goes to the end."""
_LONGEST = 12
_MORE = "…"
"""What stands for the middle of a list that is longer than that."""
_OF_SITE = "pefc_"
"""How the names begin under which a patch calls other modules of its site."""
_NAMES = {
    "base_forward": "base",
    "base_product": "product",
    "base_thin_product": "product",
    "base_squares": "row_squares",
    "base_values": "values",
    "linalg_vector_norm": "norm",
    "scaled_dot_product_attention": "sdpa",
    "sym_size_int": "size",
    "sym_size": "size",
}


@dataclass(frozen=True, slots=True)
class Line:
    """`name = expression` with its shape; what a graph returns is called `y`, or as asked for."""

    name: str
    expression: str
    shape: str
    """Such as `[8, in]`; empty where it is not known. A leading `…` stands for batch and length."""


def listing(graph: Graph, result_name: str = RESULT) -> tuple[Line, ...]:
    """The operations of a graph in their order, the last line its result; what is only read stands
    where it is used.
    """
    computed = [node for node in graph.nodes if node.op.startswith("call_")]
    result = graph.output_node().args[0]
    names = {node: _name(node) for node in graph.nodes}
    if computed and result is computed[-1]:
        names[computed[-1]] = result_name
    lines = tuple(Line(names[node], _expression(node, names), _shape(node)) for node in computed)
    if computed and result is computed[-1]:
        return lines
    return (*lines, Line(result_name, _text(result, names), _shape(result)))


def _name(node: Node) -> str:
    if node.op == "get_attr":
        return str(node.target)
    name = node.name.removeprefix(_OF_SITE)
    for long, short in _NAMES.items():
        if name.startswith(long):
            return f"{short}{name.removeprefix(long)}"
    return name


def _expression(node: Node, names: Mapping[Node, str]) -> str:
    operation = _operation(node)
    arguments = [_text(argument, names) for argument in node.args if argument is not None]
    if operation in _INFIX and len(arguments) == 2 and not node.kwargs:
        return f"{arguments[0]} {_INFIX[operation]} {arguments[1]}"
    arguments += [f"{key}={_text(value, names)}" for key, value in node.kwargs.items()]
    return f"{operation}({', '.join(arguments)})"


def _operation(node: Node) -> str:
    if isinstance(node.target, str):
        return _NAMES.get(node.target, node.target.removeprefix(_OF_SITE))
    name = getattr(node.target, "__name__", str(node.target)).partition(".")[0]
    return _NAMES.get(name, name)


def _text(value: object, names: Mapping[Node, str]) -> str:
    match value:
        case Node():
            return names[value]
        case tuple() | list():
            shown = value if len(value) <= _LONGEST else (*value[: _LONGEST - 2], _MORE, value[-1])
            inside = ", ".join(_text(part, names) for part in shown)
            return f"({inside})" if isinstance(value, tuple) else f"[{inside}]"
        case float():
            return f"{value:g}"
        case int() if value == _END:
            return "end"
        case _:
            return str(value)


def _shape(value: object) -> str:
    if not isinstance(value, Node) or not isinstance(value.meta.get("val"), Tensor):
        return ""
    sizes = [str(size) for size in value.meta["val"].shape]
    if "axes" in value.meta and holds_tokens(value):
        sizes[0] = "…"
    return f"[{', '.join(sizes)}]"


Graphs = Mapping[str, tuple[Line, ...]]
"""The graphs of a hierarchy by the paths of their modules."""


def graphs(root: GraphModule) -> Graphs:
    """The listing of every module that has a graph."""
    modules = root.named_modules()
    return {path: listing(m.graph) for path, m in modules if isinstance(m, GraphModule)}
