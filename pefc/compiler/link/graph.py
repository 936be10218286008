"""The graph linker: the traced whole-model graph with every patch inlined at its site."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node
from torch.fx.node import map_arg

from ...dsl.diagnostics.attach_merge import NotTraced
from ...dsl.diagnostics.report import SpecError
from ...runtime.patched import frozen_twin
from ..lower import LinearFacts, TokenFacts
from ..model import linear_width
from ..ops import BASE
from ..plan import Patched, Plan
from ..trace import original_path, trace
from .live import Patching, dropping, wires
from .patch import Materials, Patches, with_casts
from .quantized import Reading, readings


class StandIn(nn.Module):
    """A module with the linear map as its child, under a name that is no label's."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.pefc_map = inner
        self.training = inner.training

    @property
    def weight(self) -> object:
        """For a patch of the map that stands here."""
        return self.pefc_map.weight

    @property
    def bias(self) -> object:
        return self.pefc_map.bias

    def forward(self, *args: Tensor, **kwargs: Tensor) -> Tensor:
        """What the map gives."""
        return self.pefc_map(*args, **kwargs)


def stand_ins(model: nn.Module, paths: Iterable[str]) -> None:
    """Put a stand-in, under the same name, around each of these modules that is a linear map."""
    for path in paths:
        module = model.get_submodule(path)
        if linear_width(module) is not None:
            owner, _, name = path.rpartition(".")
            model.get_submodule(owner)._modules[name] = StandIn(module)


def linked_graph(
    plan: Plan, model: nn.Module, materials: Materials, patches: Patches
) -> GraphModule:
    """The traced model with every patch in its place. It shares the storage of the model's weights,
    and trains what the spec names alone; the model is not changed.

    Patches of linear maps are inlined in the trace. Those around them, of blocks, attentions and
    tokens, are put into a twin of the model, so that the trace goes through them; so are those with
    gates, which ask where the padding of the text is.

    Raises SpecError where the model, or a module that the spec patches, is not in the trace.
    """
    _check_form(plan)
    trained = {id(model.get_parameter(tuned.name)) for tuned in plan.tuned}
    twin = frozen_twin(model, trained)
    maps = [p for p in plan.modules if isinstance(p.facts, LinearFacts)]
    gated = frozenset(p.path for p in maps if wires(p, patches).gated)
    linear = {p.path: p for p in maps if p.path not in gated}
    places = {id(twin.get_submodule(path)): patched for path, patched in linear.items()}
    sites = {path: twin.get_submodule(path) for path in linear}
    stand_ins(twin, _watched(plan, patches) | gated)
    _patch(twin, _in_evaluation(plan), materials, patches, gated)
    root = _root(plan, twin, materials)
    found: set[str] = set()
    for path, parent in _graphs(root):
        for name in _called(parent.graph):
            patched = places.get(id(_module(twin, f"{path}.{name}")))
            if patched is not None:
                found.add(patched.path)
                patch = _evaluated(plan, patched, patches)
                if patch is not None:
                    _put(parent, name, _site(sites[patched.path], patched, materials))
                    _inline(parent.graph, name, with_casts(patch))
        parent.recompile()
    _all_found(plan, linear, found)
    return root


def _patch(
    model: nn.Module,
    plan: Plan,
    materials: Materials,
    patches: Patches,
    gated: frozenset[str],
) -> None:
    """Put the tensors of a plan into a model, and the patches around its linear maps."""
    patching = Patching(model, patches)
    patching.place(materials)
    patching.patch(plan, linear=False, through=gated)
    patching.change.commit()


def _root(plan: Plan, twin: nn.Module, materials: Materials) -> GraphModule:
    """The traced twin, with what several sites share."""
    traced = trace(twin)
    if traced.root is None:
        raise SpecError([NotTraced(plan.model, traced.reason or "")])
    for label, tensors in materials.shared.items():
        traced.root.add_module(label, tensors)
    return traced.root


def _check_form(plan: Plan) -> None:
    if plan.tasks:
        raise SpecError([NotTraced(plan.model, "a graph has one form, and tasks have several")])


def _watched(plan: Plan, patches: Patches) -> set[str]:
    """The modules at whose calls patches of blocks and attentions take or change a value."""
    around = [p for p in plan.modules if not isinstance(p.facts, LinearFacts | TokenFacts)]
    entries = (e.module for p in around for e in wires(p, patches).tapped.values())
    return {*(patched.path for patched in around), *entries}


def _in_evaluation(plan: Plan) -> Plan:
    """A graph has one form: layers are dropped as in evaluation."""
    drops = tuple(replace(d, numbers=range(d.fixed, d.fixed + 1)) for d in plan.drops)
    return replace(plan, drops=drops)


def _evaluated(plan: Plan, patched: Patched, patches: Patches) -> Graph | None:
    """The patch of a linear map as evaluation runs it; None where all of it is dropped."""
    layer = patched.members[0].site.layer
    dropped = frozenset(
        n for n in dropping(patched) if layer is not None and layer < plan.drops[n].fixed
    )
    return patches.fast_without(patched, dropped) if dropped else patches.fast(patched)


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


def _all_found(plan: Plan, linear: Mapping[str, Patched], found: set[str]) -> None:
    for path in linear:
        if path not in found:
            raise SpecError([NotTraced(plan.model, f"`{path}` is not called in the trace")])


def _site(module: nn.Module, patched: Patched, materials: Materials) -> nn.Module:
    """The module of the twin, with the tensors of its methods beside its own."""
    for planned in patched.members:
        module._modules[planned.child] = materials.children[patched.path, planned.child]
    assert isinstance(patched.facts, LinearFacts)
    if patched.facts.packed is not None:
        for name, read in readings().items():
            module._modules[name] = Reading(module, read)
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
                target = name if node.target == BASE else f"{name}.{node.target}"
                copies[node] = graph.create_node("call_module", target, copied(node.args))  # pyright: ignore[reportArgumentType]
            case "output":
                return copied(node.args[0])  # pyright: ignore[reportReturnType]
            case _:
                arguments, keywords = copied(node.args), copied(node.kwargs)
                copies[node] = graph.create_node(node.op, node.target, arguments, keywords)  # pyright: ignore[reportArgumentType]
    raise AssertionError("a graph ends in its output")
