"""Mistakes with the tasks of a living model."""

from dataclasses import dataclass

from ..nearest import nearest
from ..source import Span
from .core import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class NoSuchTask(Diagnostic):
    """A task is asked for that the model does not have.

        pefc.set_task(model, "movie")

    Tasks come from `task NAME { … }` statements of the specs that were applied, and from adapters
    that were loaded as tasks. `pefc.task_names(model)` lists them.
    """

    name: str
    known: tuple[str, ...]

    def title(self) -> str:
        return f"the model has no task `{self.name}`" if self.known else "the model has no tasks"

    def labels(self) -> tuple[Label, ...]:
        return ()

    def notes(self) -> tuple[str, ...]:
        return (f"its tasks are {', '.join(self.known)}",) if self.known else ()

    def help(self) -> str:
        near = nearest(self.name, self.known)
        if near is not None:
            return f"did you mean `{near}`?"
        return "apply a spec with `task NAME { … }`, or load an adapter with `task=NAME`"


@dataclass(frozen=True, slots=True)
class UnmixableTasks(Diagnostic):
    """Rows of a batch are given to tasks, and a method stands where rows cannot be told apart.

        task movies { lora on moe.up }

    A router hands each expert tokens of many rows at once. Use `pefc.set_task` for batches of one
    task, or attach to the attention.
    """

    span: Span
    label: str
    path: str

    def title(self) -> str:
        return f"`{self.label}` at `{self.path}` cannot tell the rows of a batch apart"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "experts see the tokens of all rows together"),)

    def help(self) -> str:
        return "use `pefc.set_task`, one task for a batch"
