"""Adapters that have buffers of their base of their own, where several are to share one base."""

from dataclasses import dataclass

from .core import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class OtherBuffers(Diagnostic):
    """A task is loaded into a model whose buffers are not those with which it was trained.

        pefc.load(model, "out/", task="films")  # of a model with batch norms

    Running statistics of batch norms, and other buffers that a forward changes, change while an
    adapter trains, and are saved with it. Tasks share those of their base, so one that was trained
    with others would give other outputs, or change those of the tasks that are there. Keep such
    modules in evaluation mode while tasks train, or load each adapter into a base of its own.
    """

    folder: str
    names: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.folder}` was trained with other buffers of the base"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(None, f"`{name}` has other values here") for name in self.names[:3])

    def notes(self) -> tuple[str, ...]:
        more = len(self.names) - 3
        return (f"and {more} more",) if more > 0 else ()

    def help(self) -> str:
        return "load it into a base of its own, without other tasks"


@dataclass(frozen=True, slots=True)
class WholeBuffers(Diagnostic):
    """An adapter is to be combined whose training has changed buffers of the base.

        pefc combine a/ b/ -o out/ --how linear     # of a model with batch norms

    Running statistics of batch norms, and other buffers that a forward changes, are saved with an
    adapter: it was trained with them, and gives other outputs with others. There is no rule by
    which they add up. Keep such modules in evaluation mode while the adapters train.
    """

    folder: str
    names: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.folder}` holds buffers of the model itself"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(None, f"`{name}` changed while it trained") for name in self.names[:3])

    def notes(self) -> tuple[str, ...]:
        more = len(self.names) - 3
        return (f"and {more} more",) if more > 0 else ()

    def help(self) -> str:
        return "keep the modules that have them in evaluation mode while adapters train"
