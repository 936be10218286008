"""The graph linker: patches are inlined at their sites in the traced whole-model graph."""

from torch import nn
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from ...dsl.diagnostics.attaching import NotTraced
from ...dsl.diagnostics.core import SpecError
from ...runtime.patched import frozen_twin
from ..lower.nodes import BASE
from ..patches import Patches
from ..plan import Patched, Plan
from ..trace import original_path, trace
from .materialize import Materials


def linked_graph(
    plan: Plan, model: nn.Module, materials: Materials, patches: Patches
) -> GraphModule:
    """The traced model with every patch in its place. It shares the storage of the model's weights,
    and trains what the spec names alone; the model is not changed.

    Raises SpecError where the model, or a module that the spec patches, is not in the trace.
    """
    trained = {id(model.get_parameter(tuned.name)) for tuned in plan.tuned}
    twin = frozen_twin(model, trained)
    traced = trace(twin)
    if traced.root is None:
        raise SpecError([NotTraced(plan.model, traced.reason or "")])
    root = traced.root
    for label, tensors in materials.shared.items():
        root.add_module(label, tensors)
    places = {id(twin.get_submodule(patched.path)): patched for patched in plan.modules}
    sites = {
        patched.path: _site(twin.get_submodule(patched.path), patched, materials)
        for patched in plan.modules
    }
    found: set[str] = set()
    for path, parent in _graphs(root):
        for name in _called(parent.graph):
            patched = places.get(id(_module(twin, f"{path}.{name}")))
            if patched is not None:
                found.add(patched.path)
                _put(parent, name, sites[patched.path])
                _inline(parent.graph, name, patches.fast(patched))
        parent.recompile()
    _all_found(plan, found)
    return root


def _graphs(root: GraphModule) -> list[tuple[str, GraphModule]]:
    """The graphs of the hierarchy, by path; a module that is called again has one for each call."""
    return [(path, graph) for path, graph in root.named_modules() if isinstance(graph, GraphModule)]


def _called(graph: Graph) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(node.target) for node in graph.find_nodes(op="call_module")))


def _module(model: nn.Module, path: str) -> nn.Module | None:
    """The module of the model that a call in the trace stands for, under whichever of its names."""
    try:
        return model.get_submodule(original_path(path.strip(".")))
    except AttributeError:
        return None


def _put(parent: nn.Module, name: str, site: nn.Module) -> None:
    owner, _, last = name.rpartition(".")
    parent.get_submodule(owner).add_module(last, site)


def _all_found(plan: Plan, found: set[str]) -> None:
    for patched in plan.modules:
        if patched.path not in found:
            reason = f"`{patched.path}` is not called in the trace"
            raise SpecError([NotTraced(plan.model, reason)])


def _site(module: nn.Module, patched: Patched, materials: Materials) -> nn.Module:
    """The module of the twin, with the tensors of its methods beside its own."""
    for planned in patched.members:
        module._modules[planned.label] = materials.children[patched.path, planned.label]
    return module


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
