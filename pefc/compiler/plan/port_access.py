"""Reach: whether the values that a patch reads pass where the living model can give them."""

from torch import nn
from torch.fx import Graph
from transformers import PreTrainedModel

from ...dsl.diagnostics.placement import NoPositions, UnreachablePort
from ...dsl.diagnostics.report import SpecError
from ...dsl.syntax.source import Span
from ..lower import plain_patch
from ..model import AttentionPorts, BlockPorts, Entry, SiteTable
from .placement import takes
from .plan import Planned


def check_reach(planned: Planned, table: SiteTable, model: nn.Module, span: Span) -> None:
    """Raise SpecError where a formula names a value that passes through no call, or moves positions
    that the model's forward does not take.
    """
    entries = port_entries(planned.place.ports)
    missing = {name for name, entry in entries.items() if entry is None}
    if missing:
        graph = plain_patch(planned.place.facts, (planned.member,))
        for name in sorted(missing & read_ports(graph)):
            raise SpecError([UnreachablePort(span, name, planned.site.path)])
    if planned.method.shift:
        stem = None if table.tokens is None else model.get_submodule(table.tokens.stem)
        if not isinstance(stem, PreTrainedModel) or not takes(stem, "position_ids"):
            raise SpecError([NoPositions(span, table.model)])


def port_entries(ports: object) -> dict[str, Entry | None]:
    """The values that a patch is given from other calls, and where they pass."""
    match ports:
        case BlockPorts():
            return {"x": ports.input, "residual": ports.residual}
        case AttentionPorts():
            return {"x": ports.input}
        case _:
            return {}


def read_ports(graph: Graph) -> frozenset[str]:
    """The names of the ports that a patch reads."""
    return frozenset(
        str(node.target) for node in graph.nodes if node.op == "placeholder" and node.users
    )
