"""Layer ranges: which layers of which stack `in layers` allows."""

from collections.abc import Mapping
from dataclasses import dataclass

from ...dsl.checked import Value
from ...dsl.diagnostics.report import Diagnostic
from ...dsl.diagnostics.selection import LayerOutOfRange, NoLayers
from ...dsl.evaluation import evaluate
from ...dsl.syntax.expression import Range
from ...dsl.syntax.selector import Layers
from ...dsl.syntax.source import Span
from ..model import Site, SiteTable


@dataclass(frozen=True, slots=True)
class Allowed:
    """The layers that a selection may reach, in each stack by the path before its index."""

    stacks: Mapping[str, frozenset[int]]

    def holds(self, site: Site) -> bool:
        """The site is in an allowed layer."""
        return site.layer is not None and any(
            site.layer in layers and site.path.startswith(f"{stack}.")
            for stack, layers in self.stacks.items()
        )


def allowed(
    layers: Layers, table: SiteTable, constants: Mapping[str, Value], found: list[Diagnostic]
) -> Allowed:
    """The layers of a clause; a number that no stack has is a mistake."""
    sizes = stack_sizes(table)
    if not sizes:
        found.append(NoLayers(layers.span, table.model))
        return Allowed({})
    if not layers.ranges:
        return Allowed({stack: frozenset(range(size)) for stack, size in sizes.items()})
    return (
        Allowed(
            {
                stack: frozenset(
                    index for entry in layers.ranges for index in _members(entry, size, constants)
                )
                for stack, size in sizes.items()
            }
        )
        if not _out_of_range(layers, max(sizes.values()), constants, found)
        else Allowed({})
    )


def stack_sizes(table: SiteTable) -> dict[str, int]:
    """How many layers each stack has."""
    sizes: dict[str, int] = {}
    for site in table.sites:
        if site.role == "layer" and site.layer is not None:
            stack = site.path.rpartition(".")[0]
            sizes[stack] = max(sizes.get(stack, 0), site.layer + 1)
    return sizes


def _ends(entry: Range, constants: Mapping[str, Value]) -> tuple[int, int]:
    start, stop = evaluate(entry.start, constants), evaluate(entry.stop, constants)
    assert isinstance(start, int)
    assert isinstance(stop, int)
    return start, stop


def _places(entry: Range, constants: Mapping[str, Value]) -> dict[int, Span]:
    """The ends of a range, and where they are written."""
    return dict(zip(_ends(entry, constants), (entry.start.span, entry.stop.span), strict=True))


def _members(entry: Range, size: int, constants: Mapping[str, Value]) -> range:
    start, stop = (end + size if end < 0 else end for end in _ends(entry, constants))
    return range(max(start, 0), min(stop, size - 1) + 1)


def _out_of_range(
    layers: Layers, size: int, constants: Mapping[str, Value], found: list[Diagnostic]
) -> bool:
    wrong = [
        LayerOutOfRange(place, end, size)
        for entry in layers.ranges
        for end, place in _places(entry, constants).items()
        if not -size <= end < size
    ]
    found.extend(wrong)
    return bool(wrong)
