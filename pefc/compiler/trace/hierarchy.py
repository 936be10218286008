"""The hierarchy: graphs of modules inside graphs of modules, down to leaves that are the model's
own.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import SymInt, Tensor, nn
from torch.fx import Graph, GraphModule, Node
from torch.nn import functional
from torch.utils._pytree import TreeSpec, tree_unflatten

from ...runtime.patched import base_class
from .cleanup import operator_name, replaced_dropouts


class Attention(nn.Module):
    """`scaled_dot_product_attention` whose dropout stops in evaluation mode."""

    def __init__(self, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        *,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        dropout = self.dropout if self.training else 0.0
        return functional.scaled_dot_product_attention(
            query, key, value, mask, dropout, is_causal, scale=scale, enable_gqa=enable_gqa
        )

    def extra_repr(self) -> str:
        return f"dropout={self.dropout}"


class Output(nn.Module):
    """Puts the tensors that a graph made into the structure that the model returns."""

    def __init__(self, spec: TreeSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, *leaves: object) -> object:
        return tree_unflatten(leaves, self.spec)


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds graph modules over one model."""

    model: nn.Module
    simple: frozenset[str]
    """The modules that take one tensor."""

    def root(self, exported: nn.Module, spec: TreeSpec) -> GraphModule:
        """The graph of the whole model; it takes the inputs by name."""
        holder, graph = self._filled(exported, "")
        output = next(iter(reversed(graph.nodes)))
        leaves = output.args[0]
        name = _free_name(holder, "output")
        holder.add_module(name, Output(spec))
        with graph.inserting_before(output):
            structured = graph.create_node("call_module", name, tuple(leaves))
        output.args = (structured,)
        return GraphModule(holder, graph, base_class(self.model).__name__)

    def _filled(self, exported: nn.Module, path: str) -> tuple[nn.Module, Graph]:
        """A graph, and a module that holds everything which the graph names."""
        graph, holder = _copied(_graph_of(exported)), nn.Module()
        holder.training = self.model.get_submodule(path).training
        for node in list(graph.nodes):
            if node.name == "self":
                node._rename(
                    "self_"
                )  # BERT has modules of this name, generated code has another use for it
            if node.op == "call_module":
                self._call(exported, node, path, holder)
            elif node.op == "get_attr":
                _set(holder, str(node.target), self._value(exported, path, str(node.target)))
        _follow_training(graph, holder)
        _drop_unused_sizes(graph)
        return holder, graph

    def _call(self, exported: nn.Module, node: Node, path: str, holder: nn.Module) -> None:
        target = str(node.target)
        inner = original_path(f"{path}.{target}" if path else target)
        child = exported.get_submodule(target)
        if (tensor := self._leaf_input(node, inner, child)) is not None:
            node.args = (tensor,)
            node.target = original_path(target)
            _set(holder, node.target, self.model.get_submodule(inner))
            return
        held, graph = self._filled(child, inner)
        _localize_sizes(graph, node)
        name = base_class(self.model.get_submodule(inner)).__name__
        _set(holder, target, GraphModule(held, graph, name))

    def _leaf_input(self, node: Node, path: str, child: nn.Module) -> Node | None:
        """The one tensor that a module without modules inside takes and turns into one tensor."""
        module = self.model.get_submodule(path)
        if path not in self.simple or not _is_leaf(module):
            return None
        tensors = [argument for argument in node.args if isinstance(_value_of(argument), Tensor)]
        output = next(iter(reversed(_graph_of(child).nodes))).args[0]
        return tensors[0] if len(tensors) == 1 and isinstance(output, Node) else None  # pyright: ignore[reportReturnType]

    def _value(self, exported: nn.Module, path: str, target: str) -> object:
        """The model's own parameter or buffer; a constant of the trace where the model has none of
        this name.
        """
        owner, _, name = f"{path}.{target}".strip(".").rpartition(".")
        try:
            return getattr(self.model.get_submodule(original_path(owner)), name)
        except AttributeError:
            holder, _, last = target.rpartition(".")
            return getattr(exported.get_submodule(holder), last)


def original_path(path: str) -> str:
    """The path in the model: a module that is called again stands as `name@1` in an exported
    hierarchy.
    """
    return re.sub(r"@\d+", "", path)


def _graph_of(exported: nn.Module) -> Graph:
    graph = exported.graph
    assert isinstance(graph, Graph)
    return graph


def _copied(graph: Graph) -> Graph:
    """A graph of its own for each call: a module that is called again is exported once."""
    fresh = Graph()
    fresh.output(fresh.graph_copy(graph, {}))  # pyright: ignore[reportArgumentType]
    return fresh


def _is_leaf(module: nn.Module) -> bool:
    """No modules inside, but for those that pefc attached to a linear map."""
    return isinstance(module, nn.Linear) or next(module.children(), None) is None


def _value_of(argument: object) -> object:
    return argument.meta.get("val") if isinstance(argument, Node) else None


def _set(holder: nn.Module, path: str, value: object) -> None:
    *front, last = path.split(".")
    for name in front:
        if not hasattr(holder, name):
            holder.add_module(name, nn.Module())
        holder = getattr(holder, name)
    if isinstance(value, nn.Module):
        before = holder._modules.get(last)
        if isinstance(value, GraphModule) and before is not None:
            value._modules = {**before._modules, **value._modules}  # called from outside of it too
        holder._modules[last] = value
    elif isinstance(value, nn.Parameter):
        holder._parameters[last] = value
    elif isinstance(value, Tensor):
        holder._buffers[last] = value
    else:
        setattr(holder, last, value)


def _follow_training(graph: Graph, holder: nn.Module) -> None:
    """Dropout of a graph becomes a module, which follows `train()` and `eval()`."""
    for node, operation, p in replaced_dropouts(graph):
        name = _free_name(holder, operation)
        if operation == "dropout":
            module: nn.Module = nn.Dropout(p)
            args, kwargs = node.args[:1], {}
        else:
            module = Attention(p)
            flags = {} if len(node.args) < 6 else {"is_causal": node.args[5]}
            args, kwargs = node.args[:4], {**node.kwargs, **flags}
            args = (*args, kwargs.pop("attn_mask")) if "attn_mask" in kwargs else args
        holder.add_module(name, module.train(holder.training))
        with graph.inserting_before(node):
            call = graph.create_node("call_module", name, args, kwargs)
        call.meta.update(node.meta)
        node.replace_all_uses_with(call)
        graph.erase_node(node)


def _free_name(holder: nn.Module, name: str) -> str:
    number = 0
    while hasattr(holder, name if number == 0 else f"{name}_{number}"):
        number += 1
    return name if number == 0 else f"{name}_{number}"


def _localize_sizes(graph: Graph, call: Node) -> None:
    """A size that a graph is given beside the tensors is read off a tensor instead."""
    placeholders = [node for node in graph.nodes if node.op == "placeholder"]
    kept = list(call.args)
    after = next(node for node in graph.nodes if node.op != "placeholder")
    for place, node in reversed(list(enumerate(placeholders))):
        value = node.meta.get("val")
        if (
            not isinstance(value, SymInt)
            or (found := next(_axes(placeholders, value), None)) is None
        ):
            continue
        if node.users:
            with graph.inserting_before(after):
                size = graph.call_function(torch.ops.aten.sym_size.int, found)
            size.meta.update(node.meta)
            node.replace_all_uses_with(size)
        graph.erase_node(node)
        del kept[place]
    call.args = tuple(kept)


def _axes(placeholders: list[Node], size: SymInt) -> Iterator[tuple[Node, int]]:
    for node in reversed(placeholders):
        value = node.meta.get("val")
        if isinstance(value, Tensor):
            for axis, other in enumerate(value.shape):
                if isinstance(other, SymInt) and other.node.expr == size.node.expr:
                    yield node, axis


def _drop_unused_sizes(graph: Graph) -> None:
    for node in reversed(list(graph.nodes)):
        if operator_name(node) == "sym_size" and not node.users:
            graph.erase_node(node)
