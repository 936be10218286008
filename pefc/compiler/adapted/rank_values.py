"""The ranks of a model: how many each site has, now and over the time of its training."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ...runtime.ranks import STATE
from ..plan import Plan, Planned, attached

_WIDTH = 40
"""Characters of a bar, or of a line over time."""
_SHADES = " ▁▂▃▄▅▆▇█"
History = tuple[tuple[int, Mapping[str, int]], ...]


@dataclass(frozen=True, slots=True)
class Ranks(Mapping[str, int]):
    """How many ranks each site has, by the path of its tensors. Printed, it is a plot: a bar for
    each, layer by layer, and a line that shows how the number went down.
    """

    ranks_by_path: Mapping[str, int]
    layers: Mapping[str, int | None]
    first: Mapping[str, int]
    """How many they had at first."""
    history: History
    """Each allocation: after which step, and what it gave to every site."""

    def __getitem__(self, path: str) -> int:
        return self.ranks_by_path[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self.ranks_by_path)

    def __len__(self) -> int:
        return len(self.ranks_by_path)

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        wide = max(map(len, self), default=0)
        most = max(self.first.values(), default=1)
        for path, rank in self.items():
            layer = self.layers[path]
            bar = "█" * round(rank / most * _WIDTH)
            over_time = "".join(self._shades(path, most))
            place = f"{'-' if layer is None else layer:>3} {path:<{wide}}"
            yield f"{place} {rank:>3} {bar:<{_WIDTH}} {over_time}".rstrip()
        if self.history:
            yield f"    over time: steps {self.history[0][0]} to {self.history[-1][0]}"

    def _shades(self, path: str, most: int) -> Iterator[str]:
        """The ranks of a site at up to `_WIDTH` times, the last one among them."""
        course = [ranks[path] for _, ranks in self.history if path in ranks]
        shown = min(_WIDTH, len(course))
        for number in range(shown):
            rank = course[(number + 1) * len(course) // shown - 1]
            yield _SHADES[-(-rank * (len(_SHADES) - 1) // most)]


def ranks(model: nn.Module) -> Ranks:
    """How many ranks the sites of a model have whose number is allocated. Raises SpecError where
    nothing is attached.
    """
    plan: Plan = attached(model).plan  # pyright: ignore[reportAssignmentType]
    found: dict[str, int] = {}
    layers: dict[str, int | None] = {}
    first: dict[str, int] = {}
    history: dict[int, dict[str, int]] = {}
    for planned in plan.attachments:
        path = f"{planned.home}.{planned.prefix}".lstrip(".")
        if planned.method.shrinking is not None:
            found[path] = int(_state(planned, "kept", model).sum())
            first[path] = len(_state(planned, "kept", model))
            for step, rank in _course(planned, model):
                history.setdefault(step, {})[path] = rank
        elif planned.method.lengths:
            (found[path],) = planned.method.lengths.values()
            (dim,) = planned.method.lengths
            first[path] = int(planned.method.numbers[dim])  # pyright: ignore[reportArgumentType]
        layers[path] = planned.site.layer
    course = tuple((step, history[step]) for step in sorted(history))
    return Ranks(found, {path: layers[path] for path in found}, first, course)


def _course(planned: Planned, model: nn.Module) -> Iterator[tuple[int, int]]:
    """The allocations that a site has seen: the step, and how many ranks it got."""
    assert planned.method.shrinking is not None
    schedule = planned.method.shrinking.schedule
    done = schedule.done(int(_state(planned, "step", model)))
    for number, rank in enumerate(_state(planned, "ranks", model)[:done].tolist()):
        yield schedule.step(number), rank


def _state(planned: Planned, name: str, model: nn.Module) -> Tensor:
    return model.get_buffer(f"{planned.home}.{planned.prefix}.{STATE}.{name}".lstrip("."))
