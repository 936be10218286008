"""The graph linker: patches are inlined at their sites in the traced whole-model graph."""

from torch import nn
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from ...dsl.diagnostics.attaching import NotTraced
from ...dsl.diagnostics.core import SpecError
from ...runtime.patched import bare, base_class
from ..lower.nodes import BASE
from ..patches import Patches
from ..plan import Patched, Plan
from ..trace import trace
from .materialize import Materials


def linked_graph(
    plan: Plan, model: nn.Module, materials: Materials, patches: Patches
) -> GraphModule:
    """The traced model with every patch in its place. Parameters are the model's own; the model is
    not changed.

    Raises SpecError where the model, or a module that the spec patches, is not in the trace.
    """
    traced = trace(bare(model))
    if traced.root is None:
        raise SpecError([NotTraced(plan.model, traced.reason or "")])
    root = traced.root
    for label, tensors in materials.shared.items():
        root.add_module(label, tensors)
    for patched in plan.modules:
        parent = _parent(root, patched, plan)
        name = patched.path.rpartition(".")[2]
        parent.add_module(name, _site(model.get_submodule(patched.path), patched, materials))
        _inline(parent.graph, name, patches.fast(patched))
        parent.recompile()
    return root


def _parent(root: GraphModule, patched: Patched, plan: Plan) -> GraphModule:
    """The graph in which a site is called."""
    path, _, name = patched.path.rpartition(".")
    try:
        parent = root.get_submodule(path)
    except AttributeError:
        parent = None
    if isinstance(parent, GraphModule) and _calls(parent.graph, name):
        return parent
    raise SpecError([NotTraced(plan.model, f"`{patched.path}` is not called in the trace")])


def _site(module: nn.Module, patched: Patched, materials: Materials) -> nn.Module:
    """The module as it is without patches, over the same parameters, with the tensors of its
    methods beside them.
    """
    bare = base_class(module)
    site = bare.__new__(bare)
    site.__dict__.update(module.__dict__)
    for store in ("_parameters", "_buffers", "_modules"):
        site.__dict__[store] = dict(module.__dict__[store])
    for planned in patched.members:
        tensors = materials.children[patched.path, planned.label]
        site._modules[planned.label] = tensors
    return site


def _calls(graph: Graph, name: str) -> list[Node]:
    return [node for node in graph.nodes if node.op == "call_module" and node.target == name]


def _inline(graph: Graph, name: str, patch: Graph) -> None:
    """`y = q_proj(x) --> y = patch(q_proj, x)`, at every call of the site."""
    for node in _calls(graph, name):
        with graph.inserting_before(node):
            result = _copied(graph, patch, name, node)
        node.replace_all_uses_with(result)
        graph.erase_node(node)


def _copied(graph: Graph, patch: Graph, name: str, call: Node) -> Node:
    """The nodes of a patch in another graph, where the site is a child."""
    copies: dict[Node, object] = {}

    def copied(argument: object) -> object:
        return map_arg(argument, lambda node: copies[node])  # pyright: ignore[reportArgumentType]

    for node in patch.nodes:
        match node.op:
            case "placeholder":
                (copies[node],) = (*call.args, *call.kwargs.values())
            case "get_attr":
                copies[node] = graph.create_node("get_attr", f"{name}.{node.target}")
            case "call_module":
                assert node.target == BASE
                copies[node] = graph.create_node("call_module", name, copied(node.args))  # pyright: ignore[reportArgumentType]
            case "output":
                return copied(node.args[0])  # pyright: ignore[reportReturnType]
            case _:
                arguments, keywords = copied(node.args), copied(node.kwargs)
                copies[node] = graph.create_node(node.op, node.target, arguments, keywords)  # pyright: ignore[reportArgumentType]
    raise AssertionError("a graph ends in its output")
