"""Mistakes in fusing tasks, and in pruning what is fused."""

from dataclasses import dataclass

from ..syntax.source import Span
from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class RepeatedMember(Diagnostic):
    """A fusion names one of its tasks twice.

        task sst {
          adapter on ffn
        }
        fuse(sst, sst) on ffn

    Fusion weighs the adapters of different tasks: name each once.
    """

    name: str
    span: Span
    first: Span

    def title(self) -> str:
        return f"`fuse` names the task `{self.name}` twice"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "named again here"), Label(self.first, "first named here"))

    def help(self) -> str:
        return "name each task once"


@dataclass(frozen=True, slots=True)
class FusionWithout(Diagnostic):
    """A fusion stands where one of its tasks has no adapter.

        task movies { adapter on ffn in layers 0 }
        task tweets { adapter on ffn }
        fuse(movies, tweets) on ffn

    A fusion weighs the changes of all of its tasks at a block, so each of them needs an adapter
    there. Narrow the selector of the fusion, or widen that of the task.
    """

    span: Span
    task: str
    path: str
    elsewhere: Span | None

    def title(self) -> str:
        return f"the task `{self.task}` has no adapter at `{self.path}`"

    def labels(self) -> tuple[Label, ...]:
        first = Label(self.span, f"fused here, with `{self.path}` among its sites")
        if self.elsewhere is None:
            return (first,)
        return (first, Label(self.elsewhere, f"what `{self.task}` has stands elsewhere"))

    def help(self) -> str:
        return "narrow the selector of the fusion, or widen that of the task"


@dataclass(frozen=True, slots=True)
class FusedTwice(Diagnostic):
    """Two fusions stand at one block.

        task movies { adapter on ffn }
        task tweets { adapter on ffn }
        task products { adapter on ffn }
        fuse(movies, tweets) on ffn
        fuse(tweets, products) on ffn in layers 0

    The output of a block is what one fusion makes of the changes of its tasks. Name all of the
    tasks in one fusion, or narrow a selector.
    """

    span: Span
    path: str
    earlier: Span

    def title(self) -> str:
        return f"`{self.path}` has two fusions"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "fused here"), Label(self.earlier, "fused here before"))

    def help(self) -> str:
        return "name all of the tasks in one `fuse`, or narrow a selector"


@dataclass(frozen=True, slots=True)
class TakenByFusion(Diagnostic):
    """A task has the name `fusion`, which is that of what `fuse` makes.

        task fusion {
          adapter on ffn
        }

    `pefc.set_task(model, "fusion")` lets the fusion run. Give the task another name.
    """

    span: Span

    def title(self) -> str:
        return "a task cannot be called `fusion`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "this is the name of what `fuse` makes"),)

    def help(self) -> str:
        return "give the task another name"


@dataclass(frozen=True, slots=True)
class NoFusion(Diagnostic):
    """A fusion is to be pruned, and the model has none.

        pefc.prune(model, batches, keep=2)

    Fuse tasks first, `pefc.apply("fuse(movies, tweets, products) on ffn", model)`, and train it.
    """

    model: str

    def title(self) -> str:
        return f"{self.model} has no fusion"

    def labels(self) -> tuple[Label, ...]:
        return ()

    def help(self) -> str:
        return "apply `fuse(a, b, …) on SELECTOR`, and train it"


@dataclass(frozen=True, slots=True)
class TooFewKept(Diagnostic):
    """A pruned fusion would keep fewer tasks than a fusion has.

        pefc.prune(model, batches, keep=1)

    A fusion weighs two tasks or more. For one task alone, use `pefc.set_task`.
    """

    keep: int

    def title(self) -> str:
        return f"a fusion cannot keep {self.keep} task{'' if self.keep == 1 else 's'}"

    def labels(self) -> tuple[Label, ...]:
        return ()

    def help(self) -> str:
        return "keep two tasks or more"


@dataclass(frozen=True, slots=True)
class TooManyKept(Diagnostic):
    """A pruned fusion would keep more tasks than any fusion of the model has.

        pefc.prune(model, batches, keep=5)

    Pruning takes away: keep as many tasks as the largest fusion has, or fewer.
    """

    keep: int
    members: int

    def title(self) -> str:
        return f"no fusion has {self.keep} tasks to keep"

    def labels(self) -> tuple[Label, ...]:
        return ()

    def notes(self) -> tuple[str, ...]:
        return (f"the largest has {self.members}",)

    def help(self) -> str:
        return f"keep {self.members - 1} tasks or fewer" if self.members > 2 else "leave it whole"


@dataclass(frozen=True, slots=True)
class NoBatches(Diagnostic):
    """A fusion is to be pruned by what it weighs on no data.

        pefc.prune(model, [], keep=2)

    The weights of the tasks are measured: give some batches, mappings or tensors, as the model is
    called with. A generator gives its batches once.
    """

    def title(self) -> str:
        return "there is no batch to measure the tasks on"

    def labels(self) -> tuple[Label, ...]:
        return ()

    def help(self) -> str:
        return "give one batch or more"


@dataclass(frozen=True, slots=True)
class UnfitBatch(Diagnostic):
    """The model cannot be called with a batch that a fusion is to be measured on.

        pefc.prune(model, ["the film was good"], keep=2)

    A batch is a mapping of the arguments of the model's forward, such as `input_ids` and
    `attention_mask`, or the tensor that is its first argument.
    """

    number: int
    reason: str

    def title(self) -> str:
        return f"the model cannot be called with batch {self.number}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "give mappings of arguments, or tensors that are the first one"


@dataclass(frozen=True, slots=True)
class FusionInTask(Diagnostic):
    """`fuse` stands inside of a task.

        task movies { adapter on ffn }
        task tweets { adapter on ffn }
        task both { fuse(movies, tweets) on ffn }

    A fusion is a task by itself, called `fusion`. Write it outside of the others.
    """

    task: str
    span: Span

    def title(self) -> str:
        return f"`fuse` cannot stand in the task `{self.task}`"

    def labels(self) -> tuple[Label, ...]:
        return (Label(self.span, "a fusion is a task by itself, `fusion`"),)

    def help(self) -> str:
        return "write it outside of tasks"


@dataclass(frozen=True, slots=True)
class StillFused(Diagnostic):
    """A task is removed whose adapters a fusion reads.

        pefc.apply("fuse(movies, tweets) on ffn", model)
        pefc.remove(model, task="movies")

    Take the fusion out first: `pefc.remove(model, task="fusion")`.
    """

    task: str

    def title(self) -> str:
        return f"the task `{self.task}` is fused"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "a fusion reads its adapters"),)

    def help(self) -> str:
        return 'take the fusion out first, with `pefc.remove(model, task="fusion")`'


@dataclass(frozen=True, slots=True)
class FusionAlone(Diagnostic):
    """A fusion is saved as a task by itself.

        pefc.save(model, "out", task="fusion")

    It weighs the adapters of other tasks and is nothing without them. Save the whole model.
    """

    def title(self) -> str:
        return "a fusion is saved with the tasks that it reads"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "it weighs their adapters"),)

    def help(self) -> str:
        return "leave `task=` out, which saves all tasks"
