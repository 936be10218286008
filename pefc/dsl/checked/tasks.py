"""Parts of a spec: one task of it, or all of it as a task."""

from collections.abc import Iterator
from dataclasses import replace

from ..diagnostics.report import SpecError
from ..diagnostics.tasks import NotATask
from ..syntax.vocabulary import FUSION
from .spec import Attachment, Checked, Fusion, Modified, Quantization, Step, Tuning, leaves


def only(checked: Checked, name: str) -> Checked:
    """The part of a spec that belongs to one task."""
    others = {task_of(step) for step in leaves(checked.steps)} - {name}
    steps = checked.steps
    for other in others:
        steps = tuple(without(steps, other))
    return replace(checked, steps=steps)


def renamed(checked: Checked, name: str) -> Checked:
    """A spec as one task: what belongs to none, or to one, belongs to `name`.

    Raises SpecError where the spec holds several tasks, or what cannot be in one.
    """
    own = [step for step in leaves(checked.steps) if not isinstance(step, Quantization)]
    found = {task_of(step) for step in own}
    if len(found) > 1 or not all(isinstance(step, Attachment | Tuning) for step in own):
        raise SpecError([NotATask(name, tuple(sorted(each or "" for each in found)))])
    return replace(checked, steps=tuple(_as_task(step, name) for step in checked.steps))


def without(steps: tuple[Step, ...], name: str | None) -> Iterator[Step]:
    """The steps that do not belong to a task, or, for None, those that belong to some. How the base
    is quantized belongs to all.
    """
    for step in steps:
        if isinstance(step, Modified):
            body = tuple(without(step.body, name))
            if body:
                yield replace(step, body=body)
        elif isinstance(step, Quantization) or task_of(step) != name:
            yield step


def _as_task(step: Step, name: str) -> Step:
    match step:
        case Modified():
            return replace(step, body=tuple(_as_task(inner, name) for inner in step.body))
        case Attachment() | Tuning():
            return replace(step, task=name)
        case _:
            return step


def in_turn(steps: tuple[Step, ...]) -> list[Step]:
    """Steps in the order in which they are planned: `quantize` is applied to the base first, and a
    fusion reads what tasks have.
    """
    return sorted(steps, key=_turn)


def _turn(step: Step) -> int:
    """`quantize` is applied to the base first; a fusion reads what tasks have."""
    match step:
        case Quantization():
            return 0
        case Fusion():
            return 2
        case _:
            return 1


def task_of(step: Step) -> str | None:
    """The task that a step belongs to."""
    match step:
        case Attachment() | Tuning():
            return step.task
        case Fusion():
            return FUSION
        case _:
            return None
