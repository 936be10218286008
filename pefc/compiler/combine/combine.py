"""The folder of the result: the first adapter's, with other numbers, ranks and scales."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...dsl.checked import Attachment, Checked, Modified, Step, Tuning, Value, check_type, leaves
from ..model import check_folders, check_options, check_path, check_weights
from ..state import write_files
from .adapter import Adapter, adapter
from .compatible import aligned
from .options import wanted
from .tensors import Result, results

_Arguments = Mapping[int, Mapping[str, Value]]
"""By the number of a statement."""


def write(first: Adapter, results: Sequence[Result], folder: Path) -> tuple[int, int]:
    """Write the result, and say how many tensors it has and how many parameters train."""
    tensors = {
        path: tensor.contiguous() for each in results for path, tensor in each.tensors.items()
    }
    plan = _plan(first, results)
    trainable: int = plan["trainable"]  # pyright: ignore[reportAssignmentType]
    checked = _checked(first, results)
    base = {name: facts.plain() for name, facts in first.saved.base.items() if name not in tensors}
    write_files(
        folder,
        checked,
        tensors,
        {"base": base, "plan": plan},
    )
    return len(tensors), trainable


def _checked(first: Adapter, results: Sequence[Result]) -> Checked:
    """The spec with other arguments, and without its task."""
    arguments = {
        each.placed.statement: each.arguments
        for each in results
        if each.arguments is not None and each.placed.statement is not None
    }
    checked = first.saved.checked
    numbers = {id(step): number for number, step in enumerate(leaves(checked.steps))}
    return replace(checked, steps=tuple(_steps(checked.steps, numbers, arguments)))


def _steps(
    steps: tuple[Step, ...], numbers: Mapping[int, int], arguments: _Arguments
) -> Iterator[Step]:
    for step in steps:
        match step:
            case Modified():
                yield replace(step, body=tuple(_steps(step.body, numbers, arguments)))
            case Attachment():
                given = arguments.get(numbers[id(step)])
                pairs = step.arguments if given is None else _ordered(step, given)
                yield replace(step, arguments=pairs, task=None)
            case Tuning():
                yield replace(step, task=None)
            case _:
                raise AssertionError(step)


def _ordered(step: Attachment, given: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    names = (parameter.name for parameter in step.method.parameters)
    return tuple((name, given[name]) for name in names if name in given)


def _plan(first: Adapter, results: Sequence[Result]) -> dict[str, object]:
    """The plan of the first adapter with the sizes of the result."""
    before: list[dict[str, object]] = first.saved.plan["attachments"]  # pyright: ignore[reportAssignmentType]
    after = [_entry(entry, each) for entry, each in zip(before, results, strict=True)]
    grown = sum(_count(new) - _count(old) for new, old in zip(after, before, strict=True))
    trainable = first.saved.manifest.plan.trainable
    return {**first.saved.plan, "trainable": trainable + grown, "attachments": after}


def _entry(entry: Mapping[str, object], result: Result) -> dict[str, object]:
    if result.arguments is None:
        shapes: object = dict(zip(result.placed.paths, _shapes(entry), strict=True))
        return {**entry, "tensors": shapes}
    shapes = {path: list(tensor.shape) for path, tensor in result.tensors.items()}
    parameters = sum(tensor.numel() for tensor in result.tensors.values())
    costs: Mapping[str, int] = entry["costs"]  # pyright: ignore[reportAssignmentType]
    operations = costs["operations"] * parameters // _count(entry)
    costs = {**costs, "operations": operations}
    return {**entry, "tensors": shapes, "parameters": parameters, "costs": costs}


def _shapes(entry: Mapping[str, object]) -> list[object]:
    tensors: Mapping[str, object] = entry["tensors"]  # pyright: ignore[reportAssignmentType]
    return list(tensors.values())


def _count(entry: Mapping[str, object]) -> int:
    count: int = entry["parameters"]  # pyright: ignore[reportAssignmentType]
    return count


@dataclass(frozen=True, slots=True)
class Combined:
    """What was made."""

    weights: tuple[float, ...]
    tensors: int
    parameters: int
    """Those that train."""


def combine(
    folders: Sequence[str | Path],
    out: str | Path,
    *,
    how: str,
    weights: Sequence[float] | None = None,
    density: float | None = None,
    seed: int | None = None,
    rank: int | None = None,
) -> Combined:
    """Make one adapter folder of several that have one base and one form. No model is needed.

    Where a method is a product `weight += s * B @ A`, `cat` gives Σ wᵢsᵢBᵢAᵢ exactly, with the sum
    of the ranks, and `svd` the nearest product of one rank. The other ways go tensor by tensor:
    `linear`, `ties`, `dare` and `magnitude`; on products with √|wᵢsᵢ| on either factor, the sign at
    A, as HF PEFT does, so that one adapter alone keeps its change. Other methods are combined as
    changes from where their tensors start: at 1 in `l: [out] = 1`.

    Args:
        folders: what `save` wrote, each of no task or of one.
        out: the folder to write; an adapter there is replaced. The result belongs to no task.
        how: `linear`, `ties`, `dare`, `magnitude`, `svd` or `cat`.
        weights: one for each folder. By default the result is a mean.
        density: the share of the numbers of a tensor that stay, for `ties`, `dare`, `magnitude`.
        seed: of the numbers that `dare` leaves out, 0 by default.
        rank: of the result of `svd`; by default the largest rank of the adapters.

    Raises:
        TypeError: an argument is of another type.
        SpecError: an option does not fit, a folder is damaged, or the adapters do not fit together.
    """
    paths, shares = check_folders(folders), check_weights(weights)
    check_path("out", out)
    check_type("how", how, str, "the name of a way of combining, such as 'linear'")
    check_options(density, seed, rank)
    options = wanted(len(paths), how, shares, density, seed, rank)
    adapters = [adapter(path) for path in paths]
    made = tuple(results(adapters, aligned(adapters, options), options))
    tensors, parameters = write(adapters[0], made, Path(out))
    return Combined(options.weights, tensors, parameters)
