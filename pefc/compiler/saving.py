"""Saving what was attached to a model."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors.torch import save as save_tensors
from torch import nn

from ..dsl import library
from ..dsl.canonical import canonical
from ..dsl.checked import Attachment, Checked, leaves
from ..dsl.diagnostics.commands import UnwritableFile
from ..dsl.diagnostics.core import Diagnostic, SpecError
from ..dsl.diagnostics.fusion import FusionAlone
from ..dsl.diagnostics.state import NoValues
from ..dsl.diagnostics.tasks import NoSuchTask
from ..dsl.format import format as format_spec
from ..dsl.syntax import Method, Spec
from ..runtime.patched import bare, outlined
from ..runtime.processes import by_one, gathered, spread
from ..runtime.state import Fingerprint, fingerprint, write_folder
from .attached import attached
from .folding import folded
from .fusing import FUSION
from .parts import only
from .plan import Plan
from .planning import plan as planned_on
from .report import report
from .settling import settled

FORMAT = 1
SPEC = "spec.peft"
TENSORS = "adapter.safetensors"


def save(
    model: nn.Module, folder: Path, *, resume: bool, task: str | None
) -> tuple[Diagnostic, ...]:
    """Write the adapter of a model, or one task of it: its tensors and the model's own parameters
    that it trains, and nothing else. Networks that compute prefixes, and what allocates ranks, are
    kept only where training is to `resume`. Returns what is probably not meant.

    Raises SpecError where nothing is attached, there is no such task, or tensors are on `meta`.
    """
    plan: Plan = attached(model).plan  # pyright: ignore[reportAssignmentType]
    if task is not None:
        if task not in plan.tasks:
            raise SpecError([NoSuchTask(task, plan.tasks)])
        if task == FUSION:
            raise SpecError([FusionAlone()])
        plan = planned_on(only(plan.checked, task), outlined(model))
    return write(plan, model, folder, resume=resume)


def write(
    plan: Plan,
    model: nn.Module,
    folder: Path,
    *,
    resume: bool,
    values: Mapping[str, torch.Tensor] = MappingProxyType({}),
) -> tuple[Diagnostic, ...]:
    """Write the adapter folder of a plan whose tensors are in the model, or in `values`."""
    if any(tensor.is_meta for tensor in adapter_tensors(plan, model, values).values()):
        raise SpecError([NoValues(plan.model)])
    processes = None if values else spread(model)
    base = fingerprint(bare(model), _owned(plan), values)
    computed = values
    warnings: tuple[Diagnostic, ...] = ()
    if not resume:
        fold = folded(plan, model)
        rest = settled(fold.plan, model)
        plan, computed, warnings = rest.plan, {**fold.values, **rest.values}, rest.unfinished
    tensors = gathered(adapter_tensors(plan, model, computed), processes)
    by_one(
        processes,
        lambda: write_files(folder, plan.checked, tensors, base=base, plan=report(plan)),
    )
    return warnings


def write_files(
    folder: Path,
    checked: Checked,
    tensors: Mapping[str, torch.Tensor],
    *,
    base: Fingerprint,
    plan: Mapping[str, object],
) -> None:
    """Write an adapter folder: the spec, the tensors, and the JSON of the plan beside the base.

    Raises SpecError where it cannot be written.
    """
    spec = format_spec(canonical(checked, _is_standard))
    files = {SPEC: spec.encode(), TENSORS: save_tensors(dict(tensors))}
    manifest = {
        "format": FORMAT,
        "methods": method_digests(checked),
        "base": base,
        "plan": plan,
    }
    try:
        write_folder(folder, files, manifest)
    except OSError as error:
        raise SpecError([UnwritableFile(str(folder), error.strerror or str(error))]) from error


def adapter_tensors(
    plan: Plan, model: nn.Module, computed: Mapping[str, torch.Tensor] = MappingProxyType({})
) -> dict[str, torch.Tensor]:
    """What belongs to the adapter, by path in the model; `computed` are values that stand for
    tensors which the model does not have.
    """
    found = {}
    for planned in plan.attachments:
        for tensor in planned.stored:
            path = planned.path(tensor)
            owner, _, name = path.rpartition(".")
            known = computed.get(path)
            found[path] = getattr(model.get_submodule(owner), name) if known is None else known
    for tuned in plan.tuned:
        known = computed.get(tuned.name)
        found[tuned.name] = model.get_parameter(tuned.name) if known is None else known
    return found


def _owned(plan: Plan) -> frozenset[str]:
    """Names of parameters that are not the base: what was attached, and what trains."""
    attached = {planned.path(tensor) for planned in plan.attachments for tensor in planned.stored}
    return frozenset(attached | {tuned.name for tuned in plan.tuned})


def method_digests(checked: Checked) -> dict[str, str]:
    """A digest of the definition of each method, comments and layout aside."""
    methods = {s.method.name: s.method for s in leaves(checked.steps) if isinstance(s, Attachment)}
    return {
        name: hashlib.sha256(format_spec(Spec((method,), span=method.span)).encode()).hexdigest()[
            :16
        ]
        for name, method in sorted(methods.items())
    }


def _is_standard(method: Method) -> bool:
    return library.method(method.name) == method
