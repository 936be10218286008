"""Loading a saved adapter into another copy of the base; strict both ways."""

import re
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import torch
from torch import nn

from ...dsl.checked import renamed
from ...dsl.diagnostics.adapters import OtherBuffers
from ...dsl.diagnostics.quantization import OtherForm
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...dsl.diagnostics.tasks import NoTaskName, OtherTask
from ...dsl.syntax.vocabulary import FUSION
from ...runtime.change import Change
from ...runtime.files import Fingerprint, fingerprint
from ...runtime.patched import Installed, bare, base_buffers, is_same, put, record
from ..link import check_unattached, compiled, form
from ..plan import Plan, parameter_names
from ..plan import plan as planned_on
from ..state import (
    Saved,
    adapter_tensors,
    check_tensors,
    check_values,
    compare_base,
    folded_labels,
    read,
)
from .add_tasks import adding

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def load(model: nn.Module, folder: Path, *, other_base: bool) -> tuple[Diagnostic, ...]:
    """Apply a saved spec to a model and fill its tensors. On any mistake the model is as it was.
    Returns what is probably not meant.

    Raises SpecError where the folder is damaged, was made for another base (unless `other_base`
    says that it may), or a tensor is missing, extra or misshapen.
    """
    check_unattached(model)
    saved, warnings = _read(model, folder, other_base=other_base)
    check_tensors(planned_on(saved.checked, model), model, saved)
    program = compiled(saved.checked, model, filled=False)
    found = check_values(program.plan, saved)
    change = program.change()
    _fill(change, program.plan, model, saved.tensors)
    put(change, model, saved.base_buffers)
    change.commit()
    return (*warnings, *found)


def load_task(
    model: nn.Module, folder: Path, name: str, *, other_base: bool
) -> tuple[Diagnostic, ...]:
    """Load a saved adapter as a task: as a new one, or over one of the same form, in place, so that
    nothing is compiled anew. On any mistake the model is as it was.

    Raises SpecError as `load` does, and where the task has another form.
    """
    if not _NAME.fullmatch(name) or name == FUSION:
        raise SpecError([NoTaskName(name)])
    saved, warnings = _read(model, folder, other_base=other_base)
    as_saved = planned_on(saved.checked, bare(model))
    check_tensors(as_saved, model, saved)
    found = check_values(as_saved, saved)
    what = record(model)
    if isinstance(what, Installed):
        _same_base(as_saved, model, what, saved)
    checked = renamed(saved.checked, name)
    as_task = planned_on(checked, bare(model))
    sources = _sources(as_task, as_saved, bare(model))
    values = {path: saved.tensors[old] for path, old in sources.items()}
    if not isinstance(what, Installed):
        change = compiled(checked, model, filled=False).change()
        put(change, model, saved.base_buffers)
    elif name in what.plan.tasks:  # pyright: ignore[reportAttributeAccessIssue]
        _same_form(name, values, what.plan, saved)  # pyright: ignore[reportArgumentType]
        _same_methods(name, as_task, what.plan, saved)  # pyright: ignore[reportArgumentType]
        change = Change()
    else:
        change = adding(checked, model, filled=False)
    _fill(change, as_task, model, values)
    change.commit()
    return (*warnings, *found)


def _read(
    model: nn.Module, folder: Path, *, other_base: bool
) -> tuple[Saved, tuple[Diagnostic, ...]]:
    """Before anything is planned the base is compared: on another one, mistakes of the saved spec
    would mislead.
    """
    saved = read(folder)
    without = frozenset(saved.shapes)

    def found(*, hashed: bool) -> Fingerprint:
        return fingerprint(bare(model), without, hashed=hashed)

    return saved, compare_base(saved, found, type(model).__name__, other_base=other_base)


def _fill(change: Change, plan: Plan, model: nn.Module, values: Mapping[str, torch.Tensor]) -> None:
    """Tensors that are still beside the model are filled there."""
    there = {id(tensor) for tensor in (*model.parameters(), *model.buffers())}
    for path, tensor in adapter_tensors(plan, model, at=change.at).items():
        if id(tensor) in there:
            change.write(tensor, values[path], kept=True)
        else:
            with torch.no_grad():
                tensor.copy_(values[path])


def _sources(as_task: Plan, as_saved: Plan, model: nn.Module) -> dict[str, str]:
    """Where the folder has each tensor of a task. A copy of a parameter is there as such, or, in an
    adapter that belongs to no task, as the parameter itself, under the first of its names.
    """
    paths = dict(zip(_paths(as_task, owned=False), _paths(as_saved, owned=False), strict=True))
    if as_saved.tasks:
        return paths | dict(
            zip(_paths(as_task, owned=True), _paths(as_saved, owned=True), strict=True)
        )
    names = parameter_names(model)
    copies = (p for p in as_task.attachments if p.member.owns)
    for planned, tensor in ((p, tensor) for p in copies for tensor in p.tensors):
        parameter = model.get_submodule(planned.home).get_parameter(tensor.name)
        paths[planned.path(tensor)] = names[id(parameter)][0]
    return paths


def _paths(plan: Plan, *, owned: bool) -> list[str]:
    """Tensors of a plan, in the order of its statements: the copies of parameters, or all else."""
    chosen = (planned for planned in plan.attachments if planned.member.owns == owned)
    return list(dict.fromkeys(p.path(tensor) for p in chosen for tensor in p.stored))


def _same_form(name: str, values: Mapping[str, torch.Tensor], plan: Plan, saved: Saved) -> None:
    """The tensors of a task and those that come over it."""
    has = {
        planned.path(tensor): tensor.shape
        for planned in plan.attachments
        if planned.task == name
        for tensor in planned.stored
    }
    found = [f"`{path}` is not in the folder" for path in has if path not in values]
    found += [f"`{path}` is not in the task" for path in values if path not in has]
    found += [
        f"`{path}` is {list(value.shape)}, not {list(has[path])}"
        for path, value in values.items()
        if path in has and tuple(value.shape) != has[path]
    ]
    if found:
        folded = folded_labels(saved.checked)
        raise SpecError([OtherTask(name, str(saved.folder), tuple(found[:3]), folded)])


def _same_methods(name: str, as_task: Plan, plan: Plan, saved: Saved) -> None:
    """What a task and the one that comes over it make of their tensors."""
    has, comes = _formulas(plan, name), _formulas(as_task, name)
    found = (
        f"`{label}` at `{path}` has another formula or other arguments"
        for (path, label), formula in comes.items()
        if has.get((path, label)) != formula
    )
    if first := tuple(islice(found, 3)):
        raise SpecError([OtherTask(name, str(saved.folder), first)])
    if list(has) != list(comes):
        raise SpecError([OtherTask(name, str(saved.folder), ("its methods have another order",))])


def _same_base(as_saved: Plan, model: nn.Module, what: Installed, saved: Saved) -> None:
    """Tasks share the base: what is quantized in it, and its buffers."""
    for packing in as_saved.packings:
        if not packing.is_there:
            other = "in floating point, and other tasks stand on it"
            raise SpecError([OtherForm(packing.span, packing.site.path, other, str(packing.form))])
    wanted = {**dict(what.buffers), **saved.base_buffers}
    found = dict(base_buffers(model))
    other = tuple(name for name, value in wanted.items() if not is_same(found[name], value))
    if other:
        raise SpecError([OtherBuffers(str(saved.folder), other)])


def _formulas(plan: Plan, name: str) -> dict[tuple[str, str], object]:
    """What the methods of a task compute, by their place and label, in the order in which the
    methods of each module stand.
    """
    return {
        (patched.path, planned.prefix): (
            form(planned.member),
            None if planned.dropping is None else plan.drops[planned.dropping],
        )
        for patched in sorted(plan.modules, key=lambda patched: patched.path)
        for planned in patched.members
        if planned.task == name
    }
