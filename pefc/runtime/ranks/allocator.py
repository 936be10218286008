"""Allocators: they give the ranks that a budget allows to the sites where they matter most.

The importance of an entry is its smoothed sensitivity |p · ∂p| times the smoothed uncertainty of
that; the importance of a rank is that of its value, plus the mean of each of its vectors. All state
is in buffers beside the tensors, so that it is saved, loaded and copied with them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from weakref import ref

import torch
from torch import Tensor, nn

from ..distributed import fill_zero, is_copied, whole
from ..patched import Tensors
from .optimizer_hook import hook
from .schedule import Schedule

STATE = "shrinking"
"""The child of the tensors of a site that holds the state of its allocator."""
Place = tuple[int, str]
"""The number of a site, and the name of a tensor there."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """The tensors of a site that have an axis of ranks."""

    axes: tuple[tuple[str, int], ...]
    """By name, the number of the axis."""
    values: str
    """The tensor that has one number for each rank, and switches it off with 0."""
    target: int
    """How many ranks the site has at the end, if all sites are equal."""


class Allocator:
    """Allocates ranks among the sites of one statement. Any optimizer that holds one of their
    tensors drives it.

    The tensors own their allocator, and it refers to them weakly, so that it goes when they go.
    """

    def __init__(
        self,
        schedule: Schedule,
        sites: Sequence[tuple[Tensors, Ranked]],
        unheard: Callable[[], None],
    ) -> None:
        self.schedule = schedule
        self.unheard = unheard
        self._is_unheard = False
        self.ranked = tuple(ranked for _, ranked in sites)
        self._homes = tuple(ref(tensors) for tensors, _ in sites)
        self._round: frozenset[Place] = frozenset()
        self._stepping: frozenset[Place] | None = None
        self._known: tuple[object, int, int] = (None, 0, 0)
        self.told = 0
        for tensors, _ in sites:
            tensors.allocator = self
        hook(self)

    def __getstate__(self) -> dict[str, object]:
        """For copies and pickles: they hold the copies of the tensors."""
        return {**self.__dict__, "_homes": tuple(home() for home in self._homes), "_known": None}

    def __setstate__(self, state: dict[str, object]) -> None:
        homes: tuple[Tensors, ...] = state["_homes"]  # pyright: ignore[reportAssignmentType]
        self.__dict__.update(state)
        self._homes = tuple(ref(home) for home in homes)
        self._known = (None, 0, 0)
        hook(self)

    def stepped(self, held: frozenset[int]) -> None:
        """An optimizer has stepped that holds the parameters `held`, by `id`."""
        if not self._is_unheard and any(is_copied(p) for _, p in self._parameters()):
            # Once: the next optimizer that steps may be that of another model.
            self._is_unheard = True
            self.unheard()
        places = {place: p for place, p in self._parameters() if id(p) in held}
        if all(parameter.grad is None for parameter in places.values()):
            return
        self.told += 1
        if not self._round.isdisjoint(places):
            self._stepping = self._round
            self._allocate()
        self._note(places)
        self._round |= places.keys()
        if self._round >= (self._stepping or self._trained()):
            self._allocate()

    def _sites(self) -> Iterator[tuple[int, Tensors, Ranked]]:
        for number, (home, ranked) in enumerate(zip(self._homes, self.ranked, strict=True)):
            tensors = home()
            if tensors is not None:
                yield number, tensors, ranked

    def _parameters(self) -> Iterator[tuple[Place, nn.Parameter]]:
        for number, tensors, ranked in self._sites():
            for name, _ in ranked.axes:
                yield (number, name), tensors.get_parameter(name)

    def _trained(self) -> frozenset[Place]:
        """What one round of optimizers steps, as long as nothing else has been seen."""
        return frozenset(place for place, p in self._parameters() if p.requires_grad)

    def _step(self) -> int:
        """How many steps there have been. The buffer is read where somebody else has written to it,
        since reading waits for its device.
        """
        buffer = next(state(tensors, "step") for _, tensors, _ in self._sites())
        known, version, step = self._known
        if known is not buffer or version != buffer._version:
            step = int(buffer)
            self._known = (buffer, buffer._version, step)
        return step

    @torch.no_grad()
    def _note(self, places: dict[Place, nn.Parameter]) -> None:
        """Renew the averages, with the gradients that were just used. A tensor without a gradient
        had no part in the loss.
        """
        step = self._step() + 1
        if step >= self.schedule.last and step > 1:
            return
        homes = {number: tensors for number, tensors, _ in self._sites()}
        for (number, name), parameter in places.items():
            average = state(homes[number], f"sensitivity.{name}")
            deviation = state(homes[number], f"uncertainty.{name}")
            now = _sensitivity(parameter, average)
            _smooth(average, now, self.schedule.beta1)
            _smooth(deviation, (now - average).abs(), self.schedule.beta2)

    @torch.no_grad()
    def _allocate(self) -> None:
        """The end of a step: allocate ranks if it is time, else leave them as they are."""
        self._round = frozenset()
        step = self._step() + 1
        for _, tensors, _ in self._sites():
            state(tensors, "step").fill_(step)
        buffer = next(state(tensors, "step") for _, tensors, _ in self._sites())
        self._known = (buffer, buffer._version, step)
        if self.schedule.allocates(step):
            self._choose(step)
            self._mask(self.schedule.number(step))
        elif step > self.schedule.last:
            self._mask(None)

    def _choose(self, step: int) -> None:
        """One threshold over the ranks of all sites; what is not above it goes."""
        scores = [importance(tensors, ranked) for _, tensors, ranked in self._sites()]
        first, target = sum(map(len, scores)), sum(ranked.target for _, _, ranked in self._sites())
        dropped = first - self.schedule.budget(step, first, target)
        at = scores[0].device
        together = torch.cat([score.to(at) for score in scores])
        threshold = together.kthvalue(dropped).values if dropped > 0 else None
        for (_, tensors, _), score in zip(self._sites(), scores, strict=True):
            kept = state(tensors, "kept")
            if threshold is None:
                kept.fill_(1)
            else:
                kept.copy_(~(score <= threshold.to(score.device)))

    def _mask(self, number: int | None) -> None:
        """Switch off what is not kept, and note how many ranks are left."""
        for _, tensors, ranked in self._sites():
            kept = state(tensors, "kept")
            values = tensors.get_parameter(ranked.values)
            fill_zero(values, kept.view(values.shape) == 0)
            if number is not None:
                state(tensors, "ranks")[number] = kept.sum()


def _sensitivity(parameter: nn.Parameter, like: Tensor) -> Tensor:
    """How much the loss would change without each entry, to first order: |p · ∂p|."""
    if parameter.grad is None:
        return torch.zeros_like(like)
    return whole(parameter * parameter.grad).abs().to(like)


def _smooth(average: Tensor, value: Tensor, beta: float) -> None:
    """An exponential moving average, in place."""
    average.copy_(beta * average + (1 - beta) * value)


def state(tensors: Tensors, name: str) -> Tensor:
    """A buffer of the state at a site."""
    return tensors.get_buffer(f"{STATE}.{name}")


def importance(tensors: Tensors, ranked: Ranked) -> Tensor:
    """[r]: how much each rank matters at a site."""
    vectors, value = None, None
    for name, axis in ranked.axes:
        entries = state(tensors, f"sensitivity.{name}") * state(tensors, f"uncertainty.{name}")
        if name == ranked.values:
            value = entries.flatten()
            continue
        others = [other for other in range(entries.dim()) if other != axis]
        mean = entries.mean(others) if others else entries
        vectors = mean if vectors is None else vectors + mean
    assert value is not None
    return value if vectors is None else value + vectors
