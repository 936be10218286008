"""Tasks that come and go while a model lives: the others keep their tensors, bit for bit."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import nn

from ...dsl.checked import Checked, Quantization, leaves, task_of, without
from ...dsl.diagnostics.fusion import StillFused
from ...dsl.diagnostics.report import SpecError
from ...dsl.diagnostics.tasks import NoSuchTask, TaskTaken
from ...dsl.syntax.vocabulary import FUSION
from ...runtime.calls import Drop
from ...runtime.change import Change
from ...runtime.patched import bare, remember, undrawn
from ...runtime.tasks import Tasks, run_task
from ...runtime.training import follow, watch
from ..link import (
    Patches,
    Patching,
    Tokenize,
    check_forwards,
    materialize,
    progress,
    rates,
    train,
    unpatch,
)
from ..plan import Plan, attached
from ..plan import plan as planned_on


def is_of_tasks(checked: Checked) -> bool:
    """Whether everything in a spec belongs to some task."""
    return bool(checked.steps) and all(task_of(step) is not None for step in leaves(checked.steps))


def add(
    checked: Checked, model: nn.Module, tokenize: Tokenize | None = None, *, filled: bool = True
) -> None:
    """Add the tasks of a spec to a model that carries one. On any mistake the model is as it was.

    Raises SpecError where a task is there already, or the spec does not fit the model.
    """
    with undrawn({parameter.device for parameter in model.parameters()}):
        adding(checked, model, tokenize, filled=filled).commit()


def adding(
    checked: Checked, model: nn.Module, tokenize: Tokenize | None = None, *, filled: bool = True
) -> Change:
    """What adds them: the model is not changed yet."""
    before = _changeable(model)
    fresh = {name for step in leaves(checked.steps) if (name := task_of(step)) is not None}
    taken = [name for name in sorted(fresh) if name in before.tasks]
    if taken:
        raise SpecError([TaskTaken(name) for name in taken])
    known = before.checked.steps
    steps = (
        *known,
        *(s for s in checked.steps if not (isinstance(s, Quantization) and s in known)),
    )
    constants = (*before.checked.constants, *checked.constants)
    after = planned_on(replace(before.checked, steps=steps, constants=constants), bare(model))
    materials = materialize(after, bare(model), tokenize, filled=filled, tasks=frozenset(fresh))
    return replanning(model, after, lambda patching: patching.place(materials))


def drop(model: nn.Module, name: str) -> None:
    """Take one task out of a model; what belongs to others stays as it is.

    Raises SpecError where the model has no such task.
    """
    before = _changeable(model)
    if name not in before.tasks:
        raise SpecError([NoSuchTask(name, before.tasks)])
    if name in before.fused:
        raise SpecError([StillFused(name)])
    steps = tuple(without(before.checked.steps, name))
    after = planned_on(replace(before.checked, steps=steps), bare(model))
    replanning(model, after, lambda patching: _pop(patching, before, name)).commit()


def replanning(model: nn.Module, after: Plan, tensors: Callable[[Patching], object]) -> Change:
    """What gives a model another plan than the one that it has."""
    what = attached(model)
    before: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    check_forwards(after, model)
    tasks = model.__dict__.get("pefc_tasks")
    drops: tuple[Drop, ...] = model.__dict__.get("pefc_drops", ())
    patching = Patching(model, Patches())
    if isinstance(tasks, Tasks):
        # A `with pefc.tasks(…)` may be under way, in any thread.
        patching.tasks.naming = tasks.naming
    change = patching.change
    unpatch(change, model)
    tensors(patching)
    patching.patch(after, linear=True)
    _draw_on(change.attributes(model).get("pefc_drops", ()), drops)  # pyright: ignore[reportArgumentType]
    train(after, patching, before)
    remember(change, model, replace(what, plan=after))
    watch(model, rates(after))
    follow(model, progress(after))
    if after.tasks:
        fresh = FUSION in after.tasks and FUSION not in before.tasks
        active = tasks.active if isinstance(tasks, Tasks) else None
        run_task(change, model, FUSION if fresh else active if active in after.tasks else None)
    return change


def _draw_on(drops: Sequence[Drop], before: Sequence[Drop]) -> None:
    """Each `adapterdrop` draws the numbers that it would have drawn."""
    known = {drop.seed: drop for drop in before}
    for drop in drops:
        if drop.seed in known:
            drop.follow(known[drop.seed])


def _changeable(model: nn.Module) -> Plan:
    """The plan of a model, none of whose patches is called by something that would go on to call
    it: hooks of Accelerate take the forward that they find.
    """
    plan: Plan = attached(model).plan  # pyright: ignore[reportAssignmentType]
    check_forwards(plan, model)
    return plan


def _pop(patching: Patching, plan: Plan, name: str) -> None:
    for planned in plan.attachments:
        if planned.task == name:
            patching.pop_child(patching.model.get_submodule(planned.home), planned.child)
            if any(tensor.scope is not None for tensor in planned.tensors):
                patching.pop_child(patching.model, planned.child)
