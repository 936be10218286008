"""Lifting: the tensors of a task become arguments of its patch, one set or one a row."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node
from torch.fx.node import map_arg

from ....runtime.tasks import Lifted, kept, noted
from ...lower import TASK
from ...passes.fuse_addmm import addmm_rows
from ..patch import CASTS, called, function, with_casts


def lifted(graph: Graph) -> Lifted:
    """A patch whose tensors of a task are its last arguments."""
    graph = with_casts(graph)
    targets = tuple(
        dict.fromkeys(
            str(node.target)
            for node in graph.find_nodes(op="get_attr")
            if str(node.target).startswith(f"{TASK}.")
        )
    )
    trained = {str(n.target) for n in graph.find_nodes(op="get_attr") if "trained" in n.meta}
    stacked = tuple(target in trained for target in targets)
    apart = any(node.meta.get("owned") for node in graph.find_nodes(op="get_attr"))
    fresh = _with_arguments(graph, targets)
    paths = tuple(tuple(target.split(".")[1:]) for target in targets)
    return Lifted(function(fresh), _ByRow(fresh, stacked), paths, stacked, apart)  # pyright: ignore[reportArgumentType]


def _with_arguments(graph: Graph, targets: tuple[str, ...]) -> Graph:
    """`B = self.task.lora.B --> B`, an argument behind the ports."""
    fresh = Graph()
    copies: dict[Node, Node] = {}
    for node in graph.find_nodes(op="placeholder"):
        copies[node] = fresh.node_copy(node)
    arguments = {target: fresh.placeholder(target.replace(".", "_")) for target in targets}
    for node in graph.nodes:
        if node.op == "get_attr" and node.target in arguments:
            copies[node] = arguments[str(node.target)]
            copies[node].meta.update(node.meta)
        elif node.op != "placeholder":
            copies[node] = fresh.node_copy(node, lambda other: copies[other])
    return fresh


@dataclass(frozen=True, slots=True)
class _Segment:
    """Nodes between two calls of modules, as one function of what they read."""

    reads: tuple[Node, ...]
    gives: tuple[Node, ...]
    run: Callable[..., tuple[Tensor, ...]]


@dataclass(slots=True)
class _Values:
    """The values of nodes for a whole batch, and what their first axes are."""

    known: dict[Node, object]
    by_row: set[Node]
    """Those with one entry a row."""
    framed: set[Node]
    """Those of the text, not of tensors alone: behind the rows they have an axis of one, so that
    each row is a batch by itself.
    """

    def add(self, node: Node, value: object, sources: tuple[Node, ...]) -> None:
        """Note the value of a node that comes from others."""
        self.known[node] = value
        if any(source in self.by_row for source in sources):
            self.by_row.add(node)
        if any(source in self.framed for source in sources):
            self.framed.add(node)


class _ByRow:
    """Runs a patch for rows that have tensors of their own. Modules are called with the whole
    batch; what stands between them is mapped over the rows.
    """

    def __init__(self, graph: Graph, stacked: tuple[bool, ...]) -> None:
        self.inputs = tuple(graph.find_nodes(op="placeholder"))
        self.stacked = stacked
        self.result = graph.output_node().args[0]
        self.steps = tuple(_steps(graph))

    # Compilers of Python do not follow a walk over a graph; they call it as it is.
    @torch.compiler.disable
    def __call__(
        self, module: nn.Module, ports: tuple[object, ...], tensors: tuple[Tensor, ...]
    ) -> Tensor:
        values = self._given(ports, tensors)
        for step in self.steps:
            if isinstance(step, _Segment):
                _map(step, values)
            elif step.op == "get_attr":
                values.known[step] = _attribute(module, str(step.target))
            elif step.target in CASTS:
                _cast(step, values)
            else:
                values.add(step, _call(module, step, values), tuple(step.all_input_nodes))
        result = values.known[self.result]  # pyright: ignore[reportArgumentType]
        assert isinstance(result, Tensor)
        return result.squeeze(1) if self.result in values.framed else result

    def _given(self, ports: tuple[object, ...], tensors: tuple[Tensor, ...]) -> _Values:
        values = _Values({}, set(), set())
        count = len(ports)
        for node, port in zip(self.inputs[:count], ports, strict=True):
            is_tensor = isinstance(port, Tensor)
            values.known[node] = port.unsqueeze(1) if is_tensor else port
            if is_tensor:
                values.by_row.add(node)
                values.framed.add(node)
        for node, tensor, own in zip(self.inputs[count:], tensors, self.stacked, strict=True):
            values.known[node] = tensor
            if own:
                values.by_row.add(node)
        return values


def _map(segment: _Segment, values: _Values) -> None:
    """Run one segment, for all rows at once."""
    axes = tuple(0 if node in values.by_row else None for node in segment.reads)
    given = [values.known[node] for node in segment.reads]
    run = segment.run
    if 0 in axes:
        run = torch.vmap(run, in_dims=axes, randomness="different")
    for node, value in zip(segment.gives, run(*given), strict=True):
        if 0 in axes:
            values.by_row.add(node)
        values.known[node] = value
    values.framed.update(segment.gives if any(n in values.framed for n in segment.reads) else ())


def _cast(node: Node, values: _Values) -> None:
    """A cast of a tensor, which stays one of no text whatever it meets."""
    operands = tuple(values.known[each] for each in node.args)  # pyright: ignore[reportArgumentType]
    values.add(node, node.target(*operands), node.all_input_nodes[:1])  # pyright: ignore[reportArgumentType, reportCallIssue]


def _call(module: nn.Module, node: Node, values: _Values) -> object:
    """A call of a module or of a port, with the whole batch."""

    def plain(argument: Node) -> object:
        value = values.known[argument]
        is_framed = argument in values.framed and isinstance(value, Tensor)
        return value.squeeze(1) if is_framed else value  # pyright: ignore[reportAttributeAccessIssue]

    arguments = map_arg(node.args, plain)  # pyright: ignore[reportArgumentType]
    target = getattr(module, node.target) if isinstance(node.target, str) else node.target
    result = target(*arguments)  # pyright: ignore[reportCallIssue, reportGeneralTypeIssues]
    is_framed = any(source in values.framed for source in node.all_input_nodes)
    return result.unsqueeze(1) if is_framed else result


def _attribute(module: nn.Module, target: str) -> object:
    found: object = module
    for name in target.split("."):
        found = getattr(found, name)
    return found


def _steps(graph: Graph) -> Iterator[_Segment | Node]:
    """Calls of modules one by one, with segments of everything between them."""
    waiting: list[Node] = []
    for node in graph.nodes:
        if node.op in {"placeholder", "output"}:
            continue
        is_first = not any(read in waiting for read in node.all_input_nodes)
        if node.op == "get_attr" or (node.target in CASTS and is_first):
            yield node
        elif node.op == "call_module" or node.target in {called, kept, noted, *CASTS}:
            if waiting:
                yield _segment(waiting)
            waiting = []
            yield node
        else:
            waiting.append(node)
    if waiting:
        yield _segment(waiting)


def _segment(nodes: list[Node]) -> _Segment:
    inside = set(nodes)
    reads = tuple(
        dict.fromkeys(s for node in nodes for s in node.all_input_nodes if s not in inside)
    )
    gives = tuple(node for node in nodes if any(user not in inside for user in node.users))
    fresh = Graph()
    copies = {node: fresh.placeholder(f"v{place}") for place, node in enumerate(reads)}
    for node in nodes:
        copies[node] = fresh.node_copy(node, lambda other: copies[other])
        if node.target is addmm_rows:
            # In place it would write into a value that all rows share.
            copies[node].kwargs = {**node.kwargs, "owned": False}
    fresh.output(tuple(copies[node] for node in gives))
    return _Segment(reads, gives, partial(function(fresh), None))  # pyright: ignore[reportArgumentType]
