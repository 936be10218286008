"""The graphs of one layer, before and after, out of the traced model."""

from collections.abc import Iterator

from torch import nn

from ..compiler.listing import Graphs, graphs
from ..compiler.plan import Plan
from ..compiler.program import Program
from ..compiler.trace import trace
from ..dsl.diagnostics.attaching import NotTraced
from ..dsl.diagnostics.core import SpecError
from .graph_parts import BEFORE, Part

AFTER = "after"


def layer_parts(program: Program, layer: int) -> tuple[Part, ...]:
    """Each module of a layer that has a graph of its own and is changed by the spec.

    Raises SpecError where the model cannot be traced.
    """
    plan = program.plan
    traced = trace(program.model)
    if traced.root is None:
        raise SpecError([NotTraced(plan.model, traced.reason or "")])
    before, after = graphs(traced.root), graphs(program.graph)
    within = _paths(plan, layer)
    return tuple(
        _part(path, before, after, plan, program.model)
        for path in before
        if any(path == layer_path or path.startswith(f"{layer_path}.") for layer_path in within)
        and before[path] != after[path]
    )


def _paths(plan: Plan, layer: int) -> tuple[str, ...]:
    sites = plan.table.sites
    return tuple(site.path for site in sites if site.role == "layer" and site.layer == layer)


def _part(path: str, before: Graphs, after: Graphs, plan: Plan, model: nn.Module) -> Part:
    inside = [p for p in plan.modules if path in {p.path, p.path.rpartition(".")[0]}]
    labels = dict.fromkeys(planned.label for patched in inside for planned in patched.members)
    return Part(
        path,
        type(model.get_submodule(path)).__name__,
        tuple(labels),
        tuple(_added(plan, path)),
        ((BEFORE, before[path]), (AFTER, after[path])),
    )


def _added(plan: Plan, path: str) -> Iterator[str]:
    """The tensors that were added below a module, by their names from it."""
    for planned in plan.attachments:
        for tensor in planned.tensors:
            name = planned.path(tensor)
            if name.startswith(f"{path}."):
                yield name.removeprefix(f"{path}.")
