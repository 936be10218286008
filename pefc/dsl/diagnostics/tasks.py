"""Mistakes in fusing tasks, and in pruning what is fused."""

from dataclasses import dataclass

from ..syntax.source import Span
from ..syntax.vocabulary import FUSION
from .report import Diagnostic, Label
from .suggestions import nearest


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
class TaskTaken(Diagnostic):
    """A task is added to a model that has one of this name.

        pefc.apply("task movies { lora on attn.q }", model)

    The tasks of a model have different names. Load an adapter over the task, which keeps its
    shape, remove the task first, or take another name.
    """

    name: str

    def title(self) -> str:
        return f"the model has a task `{self.name}` already"

    def labels(self) -> tuple[Label, ...]:
        return ()

    def help(self) -> str:
        remove = f"remove it first, `pefc.remove(model, task={self.name!r})`"
        if self.name == FUSION:
            return f"a model has one fusion: {remove}"
        return f"{remove}, or take another name"


@dataclass(frozen=True, slots=True)
class NotATask(Diagnostic):
    """An adapter is loaded as a task, and holds more than one task can.

        pefc.load(model, "out/", task="films")

    A task is made of attachments alone. An adapter with several tasks, with `fuse` or `quantize`,
    is loaded as a whole; save the task alone with `pefc.save(model, folder, task=NAME)`.
    """

    name: str
    found: tuple[str, ...]

    def title(self) -> str:
        return f"the adapter cannot be loaded as the task `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return ()

    def notes(self) -> tuple[str, ...]:
        names = ", ".join(name or "no task" for name in self.found)
        return (f"its statements belong to {names}",)

    def help(self) -> str:
        return "save one task alone with `pefc.save(model, folder, task=NAME)`"


@dataclass(frozen=True, slots=True)
class OtherTask(Diagnostic):
    """An adapter is loaded over a task that has other methods or shapes.

        pefc.load(model, "out/", task="movies")

    Loading over a task changes numbers alone, so that whatever was compiled goes on to work. Remove
    the task first where it is to have another form. A folder that was saved without `resume=True`
    holds what the network of a prefix or prompt computed, and not the network: that is another form
    than the task has which was saved.
    """

    name: str
    folder: str
    found: tuple[str, ...]
    folded: tuple[str, ...] = ()
    """The labels of what the folder holds as values alone."""

    def title(self) -> str:
        return f"`{self.folder}` has another form than the task `{self.name}`"

    def labels(self) -> tuple[Label, ...]:
        return ()

    def notes(self) -> tuple[str, ...]:
        if not self.folded:
            return self.found
        labels = ", ".join(f"`{label}`" for label in self.folded)
        saved = f"what computes {labels} was left out: it is saved with `resume=True`"
        return (*self.found, saved)

    def help(self) -> str:
        return f"remove the task first: `pefc.remove(model, task={self.name!r})`"


@dataclass(frozen=True, slots=True)
class TaskMerge(Diagnostic):
    """A model with tasks is merged.

        pefc.merge(pefc.apply("task movies { lora on attn.q }", model))

    A weight is the same for every row, and each task would make another one of it. Leave the tasks
    attached; to merge one of them, apply its statements to the base without `task`.
    """

    names: tuple[str, ...]

    def title(self) -> str:
        return "a model with tasks does not merge"

    def labels(self) -> tuple[Label, ...]:
        return ()

    def notes(self) -> tuple[str, ...]:
        return (f"its tasks are {', '.join(self.names)}",)

    def help(self) -> str:
        return "leave them attached, or apply the statements of one to the base without `task`"


@dataclass(frozen=True, slots=True)
class NoCopy(Diagnostic):
    """A task tunes a module that cannot have other parameters for each task.

        task movies { tune on "transformer.wpe" }

    What a task tunes are copies, which serve the rows of the task. So the module must compute each
    row of a batch by itself, as linear maps, norms, convolutions and the embedding of tokens do. A
    batch norm mixes the rows, an embedding of positions may have none, and quantized weights do not
    train. Leave the module out, or tune it outside of tasks.
    """

    span: Span
    path: str
    reason: str

    def title(self) -> str:
        return f"`{self.path}` cannot have parameters of a task"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, f"reaches `{self.path}`, {self.reason}"),)

    def help(self) -> str:
        return "leave it out with `except`, or tune it outside of tasks"


@dataclass(frozen=True, slots=True)
class NoTaskName(Diagnostic):
    """An adapter is loaded as a task whose name no spec could have.

        pefc.load(model, "out", task="film reviews")

    The name of a task stands in the spec that is saved: letters, digits and `_`, and no digit
    first. `fusion` is what a fusion is called.
    """

    name: str

    def title(self) -> str:
        return f"`{self.name}` cannot be the name of a task"

    def labels(self) -> tuple[Label, ...]:
        return (
            Label(None, "names have letters, digits and `_`, no digit first; `fusion` is taken"),
        )

    def help(self) -> str:
        return "give it another name"
