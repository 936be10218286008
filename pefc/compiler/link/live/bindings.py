"""Wiring: what a patched module of each kind runs, and what it is given besides its tensors."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import wraps
from itertools import product
from typing import assert_never

from torch import nn
from torch.fx import Graph

from ....runtime.attention import attention_forward
from ....runtime.calls import Variants
from ....runtime.patched import Argument, Wiring, block_names, leaf_names
from ....runtime.tasks import KINDS, RowCall, TaskPatch
from ...lower import (
    GATES,
    NORM,
    PRESENT,
    AttentionFacts,
    BlockFacts,
    LeafFacts,
    LinearFacts,
    TokenFacts,
    projection,
)
from ...model import AttentionPorts, BlockPorts, Entry
from ...passes.quantized_reads import SQUARES
from ...plan import Patched, port_entries, read_ports
from ..patch import Patches, function, tasks_of, with_call
from ..quantized import readings
from .task_arguments import lifted

Function = Callable[..., object]


@dataclass(frozen=True, slots=True)
class Wires:
    """What the patch of one module reads from elsewhere in the model."""

    own: Mapping[str, Argument]
    """Values among the arguments of the module's own call."""
    tapped: Mapping[str, Entry]
    """Values of other modules' calls."""
    modules: Mapping[str, str]
    """The paths of modules that the patch calls, by the names under which it does."""
    reads_text: bool
    """It asks which positions hold the first and last tokens."""
    gated: bool
    """It notes the values of gates."""
    squares: bool
    """It reads the norms of the rows of a quantized weight."""

    @property
    def keeps(self) -> bool:
        """Whether something of a call is kept until the patch runs."""
        return bool("x" in self.own or self.tapped or self.reads_text or self.gated)


def wires(patched: Patched, patches: Patches) -> Wires:
    """What a patch needs to be given."""
    graphs = patches.forms(patched)
    read = frozenset(name for graph in graphs for name in read_ports(graph))
    entries = {n: e for n, e in port_entries(patched.ports).items() if e is not None and n in read}
    own = {n: argument(e) for n, e in entries.items() if e.module == patched.path}
    tapped = {n: e for n, e in entries.items() if e.module != patched.path}
    calls = {str(n.target) for graph in graphs for n in graph.find_nodes(op="call_module")}
    modules = {name: path for name, path in module_paths(patched) if name in calls}
    gated = any(n.target == GATES for graph in graphs for n in graph.find_nodes(op="get_attr"))
    return Wires(own, tapped, modules, PRESENT in read, gated, SQUARES in calls)


def argument(entry: Entry) -> Argument:
    """Where a call of the module has the value."""
    return Argument(entry.index, entry.name)


def module_paths(patched: Patched) -> Iterator[tuple[str, str]]:
    """The paths of the modules that a patch may call, by the names under which it does."""
    match patched.ports:
        case BlockPorts(norm=str(path)):
            yield NORM, path
        case AttentionPorts(projections=projections):
            for name, found in projections:
                yield projection(name), found.path
        case _:
            return


def dropping(patched: Patched) -> tuple[int, ...]:
    """The `adapterdrop`s that may leave methods of a module out, in their order."""
    found = {planned.dropping for planned in patched.members}
    return tuple(sorted(number for number in found if number is not None))


def names(
    patched: Patched, base: type[nn.Module], patches: Patches, wired: Wires
) -> dict[str, object]:
    """The names of the class of a patched module."""
    found = _own_names(patched, base, patches, wired)
    if not tasks_of(patched):
        return found
    others = getattr(base, KINDS, {})
    kinds = {**others, kind_attribute(patched): task_kinds(patched, patches)}
    return {**found, KINDS: kinds}


def _own_names(
    patched: Patched, base: type[nn.Module], patches: Patches, wired: Wires
) -> dict[str, object]:
    match patched.facts:
        case LinearFacts():
            return _linear(base, patched, patches)
        case BlockFacts():
            assert isinstance(patched.ports, BlockPorts)
            wiring = Wiring(
                patched.ports.output.index, wired.own, tuple(wired.tapped), wired.reads_text
            )
            return block_names(base, _variants(patched, patches), wiring)  # pyright: ignore[reportArgumentType]
        case AttentionFacts():
            assert isinstance(patched.ports, AttentionPorts)
            found = _variants(patched, patches, with_call)
            return _attention(base, found, patched.ports, wired)
        case TokenFacts():
            raise AssertionError("tokens are changed at their stem")
        case LeafFacts(parameters):
            found = _variants(patched, patches, with_call)
            return leaf_names(base, found, tuple(name for name, _ in parameters))  # pyright: ignore[reportArgumentType]
        case _:
            assert_never(patched.facts)


def _variants(
    patched: Patched, patches: Patches, made: Callable[[Graph], Graph] = lambda graph: graph
) -> Variants[Function]:
    """The function of a patch, and those that remain when some of its methods are left out."""
    numbers = dropping(patched)
    partial: dict[tuple[bool, ...], Function | None] = {}
    for state in product((False, True), repeat=len(numbers)):
        if any(state):
            out = frozenset(n for n, is_out in zip(numbers, state, strict=True) if is_out)
            partial[state] = _run(patched, patches, out, made)
    whole = _run(patched, patches, frozenset(), made)
    assert whole is not None
    return Variants(whole, partial, drops_attribute(patched))


def _run(
    patched: Patched,
    patches: Patches,
    dropped: frozenset[int],
    made: Callable[[Graph], Graph],
) -> Function | None:
    """What a module runs without what is dropped; None for nothing."""
    tasks = tasks_of(patched)
    if tasks:
        return _by_task(patched, patches, dropped, made)
    graph = patches.fast_without(patched, dropped) if dropped else patches.fast(patched)
    return None if graph is None else function(made(graph))


def _by_task(
    patched: Patched,
    patches: Patches,
    dropped: frozenset[int],
    made: Callable[[Graph], Graph],
) -> TaskPatch:
    """The patches of the tasks; those with the same methods have one."""
    of_task = task_kinds(patched, patches)
    kinds = {kind: task for task, kind in of_task.items()}
    graphs = (patches.of_task(patched, kinds[kind], dropped) for kind in sorted(kinds))
    return TaskPatch(
        tuple(lifted(made(graph)) for graph in graphs), of_task, kind_attribute(patched)
    )


def kind_attribute(patched: Patched) -> str:
    """Under which a module has the number of the patch that its task has at a place."""
    return f"pefc_kind_{type(patched.facts).__name__}"


def drops_attribute(patched: Patched) -> str:
    """Under which a module has the `adapterdrop`s of its patch at a place."""
    return f"pefc_dropping_{type(patched.facts).__name__}"


def task_kinds(patched: Patched, patches: Patches) -> dict[str | None, int]:
    """A number for the patch that each task has at a module; None is what belongs to no task."""
    numbers: dict[Graph, int] = {}
    graphs = {
        task: patches.of_task(patched, task, frozenset()) for task in (None, *tasks_of(patched))
    }
    return {task: numbers.setdefault(graph, len(numbers)) for task, graph in graphs.items()}


def _linear(base: type[nn.Module], patched: Patched, patches: Patches) -> dict[str, object]:
    assert isinstance(patched.facts, LinearFacts)
    base_forward = {"base_forward": base.forward}
    if patched.facts.packed is not None:
        base_forward.update(readings())
    name = next(n for n in inspect.signature(base.forward).parameters if n != "self")
    if not dropping(patched) and not tasks_of(patched):
        return {"forward": _as_called(patches.fast(patched), name), **base_forward}
    variants, x = _variants(patched, patches), Argument(0, name)

    @wraps(base.forward)
    def forward(self: nn.Module, *args: object, **kwargs: object) -> object:
        patch = variants.of(self)
        if patch is None:
            return base.forward(self, *args, **kwargs)
        return patch(self, x.read(args, kwargs))

    return {"forward": forward, **base_forward}


def _as_called(graph: Graph, name: str) -> Function:
    """A forward that takes its input under the name that the module gives it."""
    port = next(node for node in graph.nodes if node.op == "placeholder")
    port.target = name
    return function(graph)


def _attention(
    base: type[nn.Module], variants: Variants[Function], ports: AttentionPorts, wired: Wires
) -> dict[str, object]:
    taps = tuple(wired.tapped)
    own = wired.own.get("x")

    def attend(
        module: nn.Module, call: Function, q: object, keys: object, values: object, scale: object
    ) -> object:
        x = getattr(module, "pefc_x").take() if own or taps else None  # noqa: B009
        patch = variants.of(module)
        if patch is None:
            return call(q, keys, values, 0)
        product = RowCall(call) if isinstance(patch, TaskPatch) else call  # pyright: ignore[reportArgumentType]
        return patch(module, product, q, keys, values, x, scale)

    assert ports.channel is not None
    found = attention_forward(base, attend, ports.channel)  # pyright: ignore[reportArgumentType]
    return found if own is None else {**found, **_noting(found.get("forward", base.forward), own)}


def _noting(forward: object, own: Argument) -> dict[str, object]:
    """The input of the attention module goes to its own tap, for the patch inside."""

    @wraps(forward)  # pyright: ignore[reportArgumentType]
    def noting(self: nn.Module, *args: object, **kwargs: object) -> object:
        self.pefc_x.value = own.read(args, kwargs)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        return forward(self, *args, **kwargs)  # pyright: ignore[reportCallIssue]

    return {"forward": noting}
