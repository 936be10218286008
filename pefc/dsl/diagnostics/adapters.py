"""Mistakes that show when an adapter is saved or loaded."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from .report import Diagnostic, Label


@dataclass(frozen=True, slots=True)
class NoAdapter(Diagnostic):
    """A folder that should hold a saved adapter does not.

        pefc.load(model, "empty_folder")

    An adapter folder holds `spec.peft`, `plan.json` and `adapter.safetensors`, as `pefc.save` and
    `pefc compile -o` write them. Give such a folder.
    """

    folder: str
    missing: str

    def title(self) -> str:
        return f"`{self.folder}` holds no adapter"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"it has no `{self.missing}`"),)

    def help(self) -> str:
        return "give the folder that `pefc.save` or `pefc compile -o` wrote"


@dataclass(frozen=True, slots=True)
class NoValues(Diagnostic):
    """A model on the `meta` device is saved or merged: it has shapes, and no values.

        pefc.merge(pefc.apply("lora on attn.q", model.to("meta")))

    Load its weights first, then apply the spec.
    """

    model: str

    def title(self) -> str:
        return f"this {self.model} has no values"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "tensors are on the `meta` device"),)

    def help(self) -> str:
        return "load the weights, then apply the spec"


@dataclass(frozen=True, slots=True)
class DamagedAdapter(Diagnostic):
    """A file of an adapter folder is not what was saved.

        sed -i s/r=2/r=4/ out/spec.peft

    It was edited, cut short or copied from another adapter; `plan.json` holds a digest of each
    file. Save the adapter again.
    """

    path: str
    reason: str

    def title(self) -> str:
        return f"`{self.path}` is damaged"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, self.reason),)

    def help(self) -> str:
        return "save the adapter again, or copy the whole folder"


@dataclass(frozen=True, slots=True)
class OtherFormat(Diagnostic):
    """An adapter was saved by a version of pefc whose files this one does not read.

    The number stands under `format` in `plan.json`. Load the adapter with the version that saved
    it, and merge it there, or train it again.
    """

    folder: str
    found: str
    known: int

    def title(self) -> str:
        return f"`{self.folder}` has format {self.found}"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, f"this version reads format {self.known}"),)

    def help(self) -> str:
        return "load it with the version of pefc that saved it"


@dataclass(frozen=True, slots=True)
class OtherBase(Diagnostic):
    """An adapter is loaded into another base model than the one it was trained on.

        pefc.save(pefc.apply("lora on attn.q", four_layers), "out")
        pefc.load(two_layers, "out")

    The shapes, a few values and a hash of each weight are compared with what they were when the
    adapter was saved; in another dtype, or quantized, the values alone. An adapter on another base
    gives other outputs, so this is an error. Load the base it was made for, or say that you mean
    it: `pefc.load(model, folder, other_base=True)`, `pefc merge --other-base`.
    """

    folder: str
    model: str
    differences: tuple[tuple[str, str], ...]

    def title(self) -> str:
        return f"`{self.folder}` was made for another base than this {self.model}"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(None, f"`{name}` {what}") for name, what in self.differences[:5])

    def notes(self) -> tuple[str, ...]:
        more = len(self.differences) - 5
        return (f"and {more} more",) if more > 0 else ()

    def help(self) -> str:
        return "load the base that the adapter was trained on, or say `other_base=True`"


@dataclass(frozen=True, slots=True)
class OtherSites(Diagnostic):
    """The saved spec, planned on this model, gives other tensors than the ones that were saved.

    The base has the weights that the adapter was made for, but uses them otherwise: the code of the
    model has changed, so that a selector means other modules in it. Load the adapter into the model
    as it was when the adapter was saved.
    """

    folder: str
    model: str
    differences: tuple[tuple[str, str], ...]

    def title(self) -> str:
        return f"the spec of `{self.folder}` reaches other modules in this {self.model}"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(None, f"`{name}` {what}") for name, what in self.differences[:5])

    def notes(self) -> tuple[str, ...]:
        more = len(self.differences) - 5
        return (f"and {more} more",) if more > 0 else ()

    def help(self) -> str:
        return "load it into a model that uses its weights as the one did that was trained"


@dataclass(frozen=True, slots=True)
class OtherMethod(Diagnostic):
    """A method of the standard library has another definition now than when the adapter was saved.

    Its tensors would mean something else. Digests of the definitions stand under `methods` in
    `plan.json`. Load the adapter with the version of pefc that saved it.
    """

    folder: str
    method: str

    def title(self) -> str:
        return f"`{self.method}` is not what it was when `{self.folder}` was saved"

    def labels(self) -> tuple[Label, ...]:
        return (Label(None, "its definition has changed since"),)

    def help(self) -> str:
        return "load it with the version of pefc that saved it"


@dataclass(frozen=True, slots=True)
class OnOtherBase(Diagnostic):
    """An adapter was put on another base than the one it was trained on, as it was asked for.

        pefc.load(fine_tuned, "out", other_base=True)

    It says how many weights differ, and by how much the few values differ that are kept of each,
    relative to the largest of them. What an adapter does on a base that it was not trained on
    nobody has measured: evaluate it.
    """

    severity: ClassVar[Literal["error", "warning"]] = "warning"

    folder: str
    model: str
    weights: int
    of: int
    largest: float
    unlike: tuple[tuple[str, str], ...]

    def title(self) -> str:
        return f"`{self.folder}` was made for another base than this {self.model}"

    def labels(self) -> tuple[Label, ...]:
        off = f"{self.weights} of {self.of} weights have other values"
        apart = f"up to {100 * self.largest:.2g}% of the largest sample"
        return (
            Label(None, f"{off}, by {apart}"),
            *(Label(None, f"`{name}` {what}") for name, what in self.unlike),
        )

    def help(self) -> str:
        return (
            f"evaluate it: {self.weights} of {self.of} weights differ, by up to "
            f"{100 * self.largest:.2g}% of the largest sample"
        )


@dataclass(frozen=True, slots=True)
class NotFiniteAdapter(Diagnostic):
    """Tensors of an adapter hold NaN or infinity.

        model.layers[0].self_attn.q_proj.lora.A.data[0, 0] = float("nan")
        pefc.save(model, "out")

    Its training has diverged, so the model with it gives NaN. It is saved and loaded all the same,
    since it can be looked at and parts of it may be sound. Train it again, with a lower rate or
    another seed, or go back to an earlier trainer checkpoint.
    """

    severity: ClassVar[Literal["error", "warning"]] = "warning"

    folder: str
    tensors: tuple[str, ...]

    def title(self) -> str:
        return f"`{self.folder}` holds numbers that are not finite"

    def labels(self) -> tuple[Label, ...]:
        return tuple(Label(None, f"in `{name}`") for name in self.tensors[:5])

    def notes(self) -> tuple[str, ...]:
        more = len(self.tensors) - 5
        return (f"and {more} more",) if more > 0 else ()

    def help(self) -> str:
        return f"train it again with a lower rate; `{self.tensors[0]}` is not finite"


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
