"""When ranks are allocated, and how many: the cubic schedule of AdaLoRA, arXiv:2303.10512."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """The numbers of an allocator. Steps count from 1."""

    steps: int
    """All optimizer steps of the training."""
    start: int = 0
    """Steps in which nothing is allocated yet."""
    settle: int = 0
    """Steps at the end in which the ranks stay."""
    every: int = 1
    """Ranks are allocated where a step is a multiple of this."""
    beta1: float = 0.85
    """Of the average of sensitivities."""
    beta2: float = 0.85
    """Of the average of their deviations, the uncertainty."""

    @property
    def last(self) -> int:
        """The step of the last allocation."""
        return self.steps - self.settle

    @property
    def allocations(self) -> int:
        """How many there are in a whole training."""
        return (self.last - 1) // self.every - self.start // self.every + 1

    def allocates(self, step: int) -> bool:
        """Whether ranks are allocated after a step."""
        return step == self.last or (self.start < step < self.last and step % self.every == 0)

    def number(self, step: int) -> int:
        """The place of an allocation among all, from 0."""
        if step == self.last:
            return self.allocations - 1
        return step // self.every - self.start // self.every - 1

    def step(self, number: int) -> int:
        """The step of an allocation."""
        if number == self.allocations - 1:
            return self.last
        return (self.start // self.every + 1 + number) * self.every

    def done(self, step: int) -> int:
        """How many allocations there have been after a step."""
        if step >= self.last:
            return self.allocations
        return max(0, step // self.every - self.start // self.every)

    def budget(self, step: int, first: int, target: int) -> int:
        """How many ranks all sites may have together after a step, between what they had at `first`
        and the `target`.
        """
        if step <= self.start:
            return first
        left = max(0.0, 1 - (step - self.start) / (self.last - self.start))
        return int((first - target) * left**3 + target)
