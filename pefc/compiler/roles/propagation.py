"""Carrying: what the trace says of a layer goes for every layer that it stands for."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..model import AttentionPorts, BlockPorts, Entry, Exit, Projection
from .layers import Layer
from .repeated_layers import Stack
from .role_rows import Row
from .tape import is_inside


@dataclass(frozen=True, slots=True)
class Sibling:
    """A module in the place of one of a representative layer."""

    path: str
    before: str
    after: str
    """The paths of the representative layer and of the sibling; the same for the representative."""

    def moved(self, path: str) -> str:
        """The path of another module of that layer."""
        if self.before == self.after or not is_inside(path, self.before):
            return path
        return f"{self.after}{path[len(self.before) :]}"


def siblings(path: str, stacks: Sequence[Stack]) -> Iterator[Sibling]:
    """The modules that a module of the traced model stands for."""
    stack = next((stack for stack in stacks if stack.path and is_inside(path, stack.path)), None)
    if stack is None or path == stack.path:
        yield Sibling(path, path, path)
        return
    name, dot, rest = path.removeprefix(f"{stack.path}.").partition(".")
    for index, representative in enumerate(stack.representatives):
        if str(representative) == name:
            inner = f"{stack.path}.{index}"
            yield Sibling(f"{inner}{dot}{rest}", f"{stack.path}.{name}", inner)


def carried(rows: Sequence[Row], stacks: Sequence[Stack]) -> Iterator[Row]:
    """Rows of a representative layer, for every layer that it stands for."""
    for row in rows:
        for place in siblings(row.path, stacks):
            yield replace(
                row,
                path=place.path,
                block=None if row.block is None else _block(row.block, place),
                attention=None if row.attention is None else _attention(row.attention, place),
            )


def carried_layers(layers: Sequence[Layer], stacks: Sequence[Stack]) -> Iterator[Layer]:
    """Layers with their numbers."""
    for layer in layers:
        direct = any(layer.path.rpartition(".")[0] == stack.path for stack in stacks)
        for place in siblings(layer.path, stacks):
            index = int(place.path.rpartition(".")[2]) if direct else layer.index
            yield Layer(place.path, index)


def carried_calls(
    calls: Mapping[str, BlockPorts], stacks: Sequence[Stack]
) -> Iterator[tuple[str, BlockPorts]]:
    """The ports of modules, by their paths."""
    for path, ports in calls.items():
        for place in siblings(path, stacks):
            yield place.path, _block(ports, place)


def _block(ports: BlockPorts, place: Sibling) -> BlockPorts:
    if place.before == place.after:
        return ports
    return BlockPorts(
        ports.width,
        Exit(place.moved(ports.output.module), ports.output.index),
        _entry(ports.input, place),
        _entry(ports.residual, place),
        None if ports.norm is None else place.moved(ports.norm),
    )


def _attention(ports: AttentionPorts, place: Sibling) -> AttentionPorts:
    if place.before == place.after:
        return ports
    projections = tuple(
        (role, Projection(place.moved(map.path), map.rows)) for role, map in ports.projections
    )
    return replace(
        ports,
        module=place.moved(ports.module),
        input=_entry(ports.input, place),
        projections=projections,
    )


def _entry(entry: Entry | None, place: Sibling) -> Entry | None:
    return None if entry is None else Entry(place.moved(entry.module), entry.index, entry.name)
