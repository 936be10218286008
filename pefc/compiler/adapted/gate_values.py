"""The values of gates and fusions at the last call of a model, by layer."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ...runtime.tasks import Gates
from ..lower import GATES
from ..plan import Plan, Planned, attached

_WIDTH = 40
"""Characters of a bar that stands for 1."""


@dataclass(frozen=True, slots=True)
class GateValues(Mapping[str, Tensor]):
    """By the path of the tensors of a method: [batch] for a gate, [batch, n, members] for the
    weights of a fusion. Printed, it is a plot: a bar for each, layer by layer.
    """

    values_by_path: Mapping[str, Tensor]
    layers: Mapping[str, int | None]
    members: Mapping[str, tuple[str, ...]]
    """The tasks that a fusion weighs."""

    def __getitem__(self, path: str) -> Tensor:
        return self.values_by_path[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_path)

    def __len__(self) -> int:
        return len(self.values_by_path)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        wide = max(map(len, self), default=0)
        for path, value in self.items():
            layer = self.layers[path]
            place = f"{'-' if layer is None else layer:>3} {path:<{wide}}"
            for name, share in self._shares(path, value):
                bar = "█" * round(share * _WIDTH)
                yield f"{place} {name}{share:5.2f} {bar}".rstrip()

    def _shares(self, path: str, value: Tensor) -> Iterator[tuple[str, float]]:
        names = self.members.get(path)
        if names is None:
            yield "", float(value.mean())
            return
        means = value.flatten(0, -2).mean(0)
        wide = max(map(len, names))
        for name, mean in zip(names, means, strict=True):
            yield f"{name:<{wide}} ", float(mean)


def gates(model: nn.Module) -> GateValues:
    """What the gates and fusions of a model let through at its last call. Raises SpecError where
    nothing is attached.
    """
    plan: Plan = attached(model).plan  # pyright: ignore[reportAssignmentType]
    found: dict[str, Tensor] = {}
    layers: dict[str, int | None] = {}
    members: dict[str, tuple[str, ...]] = {}
    for planned in plan.attachments:
        value = _value(model, planned)
        if value is not None:
            path = f"{planned.home}.{planned.prefix}".lstrip(".")
            fused = planned.member.parts
            found[path] = value.detach() if fused else value.detach().flatten()
            layers[path] = planned.site.layer
            if fused:
                members[path] = tuple(task for task, _ in fused)
    return GateValues(found, layers, members)


def _value(model: nn.Module, planned: Planned) -> Tensor | None:
    """What a method noted at its last call; tasks with one name for their methods share a note."""
    gates = model.get_submodule(planned.home).__dict__.get(GATES)
    if not isinstance(gates, Gates) or not (planned.member.gated or planned.member.parts):
        return None
    tasks = model.__dict__.get("pefc_tasks")
    if planned.task is not None and getattr(tasks, "active", None) != planned.task:
        return None
    return gates.values.get(planned.member.prefix)
