"""Saving what was attached to a model."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import nn

from ...dsl.checked import Attachment, Checked, canonical, leaves, only
from ...dsl.diagnostics.adapters import NotFiniteAdapter, NoValues
from ...dsl.diagnostics.commands import UnwritableFile
from ...dsl.diagnostics.fusion import FusionAlone
from ...dsl.diagnostics.model_files import OutputExists
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...dsl.diagnostics.tasks import NoSuchTask
from ...dsl.diagnostics.training import UnnamedTraining
from ...dsl.format.page import format as format_spec
from ...dsl.parsing import library
from ...dsl.syntax.method import Method
from ...dsl.syntax.statement import Spec
from ...dsl.syntax.vocabulary import FUSION
from ...runtime.distributed import by_one, gathered, spread
from ...runtime.files import file_parts, fingerprint, write_folder
from ...runtime.patched import Installed, Tensors, bare, changed, outlined, record
from ..plan import Plan, attached, check_kept, report
from ..plan import plan as planned_on
from .manifest import FORMAT
from .precompute import folded
from .trim_ranks import settled

SPEC = "spec.peft"
TENSORS = "adapter.safetensors"


def save(
    model: nn.Module, folder: Path, *, resume: bool, task: str | None
) -> tuple[Diagnostic, ...]:
    """Write the adapter of a model, or one task of it: its tensors, the model's own parameters that
    it trains, the buffers that training has changed, and nothing else. Networks that compute
    prefixes, and what allocates ranks, are kept only where training is to `resume`. Returns what is
    probably not meant.

    Raises SpecError where nothing is attached, there is no such task, or tensors are on `meta`.
    """
    plan: Plan = attached(model).plan  # pyright: ignore[reportAssignmentType]
    check_kept(model, plan)
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
    base = fingerprint(bare(model), owned(plan), values)
    computed = values
    warnings: tuple[Diagnostic, ...] = ()
    if not resume:
        fold = folded(plan, model)
        rest = settled(fold.plan, model)
        plan, computed, warnings = rest.plan, {**fold.values, **rest.values}, rest.unfinished
    buffers = _buffers(model, values)
    tensors = gathered({**adapter_tensors(plan, model, computed), **buffers}, processes)
    plain = {name: facts.plain() for name, facts in base.items()}
    said = {"base": plain, "plan": report(plan), **({"buffers": [*buffers]} if buffers else {})}
    by_one(processes, lambda: write_files(folder, plan.checked, tensors, said))
    numbers = {name: tensor for name, tensor in tensors.items() if name not in buffers}
    return (*warnings, *not_finite(numbers, str(folder)), *_left_out(model))


def _left_out(model: nn.Module) -> Iterator[UnnamedTraining]:
    """What trains and is in no adapter, since its user has let it train and no spec names it."""
    plan = attached(model).plan
    assert isinstance(plan, Plan)
    own = [module for module in model.modules() if isinstance(module, Tensors)]
    known = {id(parameter) for module in own for parameter in module.parameters()}
    known |= {id(model.get_parameter(tuned.name)) for tuned in plan.tuned}
    trained = ((name, p) for name, p in model.named_parameters() if p.requires_grad)
    names = tuple(name for name, parameter in trained if id(parameter) not in known)
    if names:
        yield UnnamedTraining(plan.model, names)


def not_finite(tensors: Mapping[str, torch.Tensor], folder: str) -> Iterator[NotFiniteAdapter]:
    """A warning where tensors hold what is not finite."""
    names = tuple(
        name
        for name, tensor in tensors.items()
        if tensor.is_floating_point() and not tensor.isfinite().all()
    )
    if names:
        yield NotFiniteAdapter(folder, names)


def check_free(folder: Path) -> None:
    """Raise SpecError where an adapter would be written over something."""
    try:
        is_taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise SpecError([UnwritableFile(str(folder), error.strerror or str(error))]) from error
    if is_taken:
        raise SpecError([OutputExists(str(folder), "adapter")])


def write_files(
    folder: Path,
    checked: Checked,
    tensors: Mapping[str, torch.Tensor],
    said: Mapping[str, object],
) -> None:
    """Write an adapter folder: the spec, the tensors, and what the manifest says of them, which is
    the JSON of the plan, the fingerprint of the base, and the names of buffers.

    Raises SpecError where it cannot be written.
    """
    spec = spec_text(checked)
    files = {SPEC: spec.encode(), TENSORS: file_parts(tensors)}
    manifest = {
        "format": FORMAT,
        "methods": method_digests(checked),
        **said,
    }
    try:
        write_folder(folder, files, manifest)
    except OSError as error:
        raise SpecError([UnwritableFile(str(folder), error.strerror or str(error))]) from error


def spec_text(checked: Checked) -> str:
    """A spec as it is saved."""
    return format_spec(canonical(checked, _is_standard))


def adapter_tensors(
    plan: Plan,
    model: nn.Module,
    computed: Mapping[str, torch.Tensor] = MappingProxyType({}),
    at: Callable[[nn.Module, str], nn.Module] = nn.Module.get_submodule,
) -> dict[str, torch.Tensor]:
    """What belongs to the adapter, by path in the model, whose modules are found `at` their paths;
    `computed` are values that stand for tensors which the model does not have.
    """
    found = {}
    for planned in plan.attachments:
        for tensor in planned.stored:
            path = planned.path(tensor)
            owner, _, name = path.rpartition(".")
            known = computed.get(path)
            found[path] = getattr(at(model, owner), name) if known is None else known
    for tuned in plan.tuned:
        known = computed.get(tuned.name)
        found[tuned.name] = model.get_parameter(tuned.name) if known is None else known
    return found


def _buffers(model: nn.Module, values: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies of the buffers of the base that are not what they were when the spec was applied."""
    what = record(model)
    if not isinstance(what, Installed):
        return {}
    found = changed(model, what.buffers)
    return {name: values.get(name, value).detach().clone() for name, value in found.items()}


def owned(plan: Plan) -> frozenset[str]:
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
