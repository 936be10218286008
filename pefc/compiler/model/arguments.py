"""Arguments of the public functions: what is of a wrong type or size is refused, in a sentence,
before anything is changed. What only a spec or a model can tell is a diagnostic, later.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite
from numbers import Integral, Real
from os import PathLike
from pathlib import Path

from torch import Tensor, nn

from ...dsl.checked import Checked, check_text, check_type, wrong_type
from ...dsl.diagnostics.processes import FlattenedModel
from ...dsl.diagnostics.report import SpecError
from ...dsl.syntax.statement import Spec
from ...runtime.distributed import unwrapped
from ...runtime.patched import inside, is_flattened


def check_model(model: object) -> None:
    """Raise TypeError where something is no model."""
    if isinstance(model, nn.Module):
        return
    wanted = "the model, a `torch.nn.Module`"
    if isinstance(model, type) or callable(model):
        wanted += ", not what makes one"
    elif isinstance(model, str | PathLike):
        wanted += ", not its name: load it first, with `from_pretrained`"
    raise wrong_type("model", model, wanted)


def model_in(model: nn.Module) -> nn.Module:
    """The model in a wrapper. Raises TypeError where there is none, SpecError where the wrapper has
    taken its tensors apart.
    """
    check_model(model)
    found = inside(unwrapped(inside(model)))
    check_unflattened(found)
    return found


def check_unflattened(model: nn.Module) -> None:
    """Raise SpecError where `FullyShardedDataParallel` has taken the tensors of a model apart."""
    if is_flattened(model):
        raise SpecError([FlattenedModel(type(getattr(model, "module", model)).__name__)])


def check_spec(spec: object) -> None:
    """Raise where something is no spec: TypeError, or ValueError where it names a file."""
    if isinstance(spec, nn.Module):
        raise wrong_type("spec", spec, "the spec first and the model second")
    if not isinstance(spec, Spec | Checked):
        check_text("spec", spec)


def check_path(name: str, value: object) -> None:
    """Raise where something is no path: TypeError, or ValueError where it is empty."""
    if not isinstance(value, str | PathLike):
        raise wrong_type(name, value, "the path of a folder")
    if not str(value):
        raise ValueError(
            f"`{name}` is empty: give the path of a folder, '.' for the one you are in"
        )


def check_flag(name: str, value: object) -> None:
    """Raise TypeError where something is neither True nor False."""
    check_type(name, value, bool, "True or False")


def check_task(name: str, value: object) -> None:
    """Raise TypeError where something is neither the name of a task nor None."""
    if value is not None and not isinstance(value, str):
        hint = "; `pefc.tasks` takes one for each row" if isinstance(value, list | tuple) else ""
        raise wrong_type(name, value, f"the name of a task, or None{hint}")


def check_rows(names: object) -> tuple[str | None, ...]:
    """The tasks of rows. Raises TypeError where they are none, ValueError where there is no row."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        wanted = "a list with the task of each row; `pefc.set_task` sets one for all rows"
        raise wrong_type("names", names, wanted)
    rows = tuple(names)
    for row, name in enumerate(rows):
        check_task(f"names[{row}]", name)
    if not rows:
        raise ValueError("`names` is empty: give a list with the task of each row")
    return rows


def check_count(name: str, value: object) -> None:
    """Raise TypeError where something is no whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise wrong_type(name, value, "a whole number")


def check_number(name: str, value: object) -> None:
    """Raise TypeError where something is no number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise wrong_type(name, value, "a number")


def check_rate(name: str, value: object) -> None:
    """Raise where something is no rate: TypeError, or ValueError where it is below 0 or endless."""
    check_number(name, value)
    if not isfinite(value) or value < 0:  # pyright: ignore[reportArgumentType, reportOperatorIssue]
        raise ValueError(f"`{name}` is {value}: give a finite number, 0 or more")


def check_batches(batches: object) -> None:
    """Raise TypeError where something is no series of batches."""
    if isinstance(batches, Mapping | Tensor):
        raise wrong_type("batches", batches, "a list of batches, `[batch]` if there is one alone")
    if isinstance(batches, str) or not isinstance(batches, Iterable):
        raise wrong_type("batches", batches, "batches as the model takes them: a list, or a loader")


def check_inputs(inputs: object) -> None:
    """Raise TypeError where something is no inputs of a forward."""
    values: Sequence[object] = ()
    if isinstance(inputs, Mapping):
        values = tuple(inputs.values())
    elif isinstance(inputs, list | tuple):
        values = inputs
    elif inputs is not None:
        raise wrong_type("inputs", inputs, "tensors by name, or a list of them")
    for value in values:
        if not isinstance(value, Tensor):
            raise wrong_type("an input", value, "a tensor")


def check_folders(folders: object) -> tuple[Path, ...]:
    """The folders of adapters. Raises TypeError where something is no list of paths."""
    if isinstance(folders, str | PathLike) or not isinstance(folders, Iterable):
        raise wrong_type("folders", folders, "a list of the folders of adapters")
    found = tuple(folders)
    for place, folder in enumerate(found):
        check_path(f"folders[{place}]", folder)
    return tuple(map(Path, found))


def check_weights(weights: object) -> tuple[float, ...] | None:
    """The weights of adapters. Raises TypeError where something is no list of numbers."""
    if weights is None:
        return None
    if isinstance(weights, str) or not isinstance(weights, Iterable):
        raise wrong_type("weights", weights, "a list with a number for each adapter")
    found = tuple(weights)
    for place, weight in enumerate(found):
        check_number(f"weights[{place}]", weight)
    return tuple(map(float, found))


def check_options(density: object, seed: object, rank: object) -> None:
    """Raise TypeError where an option of combining is neither a number nor None."""
    if density is not None:
        check_number("density", density)
    for name, number in (("seed", seed), ("rank", rank)):
        if number is not None:
            check_count(name, number)
