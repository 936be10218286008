"""The live linker: modules keep their identity, path, class family and keys; their forward runs the
patch.
"""

from collections.abc import MutableMapping
from typing import Any

import torch
from torch import nn

from ....dsl.diagnostics.attach_merge import AlreadyAttached, ForwardReplaced
from ....dsl.diagnostics.placement import InferenceWeights
from ....dsl.diagnostics.report import Diagnostic, SpecError
from ....runtime.change import Change
from ....runtime.patched import Installed, base_class, is_patched, is_wire, noted, record, remember
from ....runtime.training import follow, watch
from ...plan import Plan, attached, by_statement
from ..patch import Materials, Patches
from ..quantized import Modules, declare, put, with_modules
from .patcher import Patching
from .progress import progress
from .rates import rates


def check_free(plan: Plan, model: nn.Module) -> None:
    """Raise SpecError where the model carries a spec already, or a patch could never run."""
    check_unattached(model)
    check_forwards(plan, model)
    check_trainable(plan, model)


def check_trainable(plan: Plan, model: nn.Module) -> None:
    """Raise SpecError where nothing could train, since the weights are of inference mode. Within
    that mode nobody trains, and answers are all that is wanted.
    """
    if torch.is_inference_mode_enabled():
        return
    made = (name for name, p in model.named_parameters() if p.is_inference())
    for step in plan.checked.steps[:1]:
        if (name := next(made, None)) is not None:
            raise SpecError([InferenceWeights(step.span, name)])


def check_forwards(plan: Plan, model: nn.Module) -> None:
    """Raise SpecError where a module would not run its patch."""
    mistakes: list[Diagnostic] = [
        ForwardReplaced(patched.members[0].span, patched.path)
        for patched in plan.modules
        if "forward" in model.get_submodule(patched.path).__dict__
    ]
    if mistakes:
        raise SpecError(by_statement(mistakes))


def check_unattached(model: nn.Module) -> None:
    """Raise SpecError where the model carries a spec."""
    present = record(model)
    if isinstance(present, Installed):
        earlier: Plan = present.plan  # pyright: ignore[reportAssignmentType]
        first = next((step.span.text for step in earlier.checked.steps), "an empty spec")
        raise SpecError([AlreadyAttached(type(model).__name__, first)])


def installing(
    plan: Plan, model: nn.Module, materials: Materials, patches: Patches, modules: Modules
) -> Change:
    """What puts the tensors and patched classes in place, and the quantized modules."""
    patching = Patching(model, patches)
    change = patching.change
    put(change, model, modules)
    if plan.packings:
        declare(change, model, with_modules(model, modules))
    if not is_of_base(plan):
        _install(plan, patching, materials, with_modules(model, modules))
    return change


def _install(plan: Plan, patching: Patching, materials: Materials, base: nn.Module) -> None:
    """`base` is the model with its quantized modules."""
    model, change = patching.model, patching.change
    parameters = dict(base.named_parameters())
    flags = tuple((name, parameter.requires_grad) for name, parameter in parameters.items())
    tuned = {parameter.name for parameter in plan.tuned}
    originals = tuple((name, base.get_parameter(name).detach().clone()) for name in sorted(tuned))
    for name, parameter in parameters.items():
        change.train(parameter, name in tuned)
    patching.place(materials)
    patching.patch(plan, linear=True)
    train(plan, patching)
    earlier = record(model)
    assert not isinstance(earlier, Installed)
    remember(change, model, Installed(plan, flags, originals, noted(base), earlier))
    watch(model, rates(plan))
    follow(model, progress(plan))


def is_of_base(plan: Plan) -> bool:
    """Nothing but quantization: the base is another one then, and carries no spec."""
    return bool(plan.packings) and not plan.attachments and not plan.tuned


def train(plan: Plan, patching: Patching, before: Plan | None = None) -> None:
    """Let the tensors of a plan train, but for those of tasks that a fusion reads. What a plan
    `before` had stays as it is, but where a fusion comes or goes.
    """
    kept = {
        planned.path(tensor)
        for planned in (before.attachments if before else ())
        for tensor in planned.tensors
        if before and (planned.task in before.fused) == (planned.task in plan.fused)
    }
    for planned in plan.attachments:
        for tensor in planned.tensors:
            if not tensor.frozen and planned.path(tensor) not in kept:
                parameter = patching.change.tensor(patching.model, planned.path(tensor))
                patching.change.train(parameter, planned.task not in plan.fused)


def unpatch(change: Change, model: nn.Module) -> None:
    """Give every module its own class back, without wires; tensors stay."""
    for module in model.modules():
        if is_patched(type(module)):
            change.become(module, base_class(module))
        if any(map(is_wire, module.__dict__)):
            _without_wires(change.attributes(module))
        if any(map(is_wire, module._buffers)):
            _without_wires(change.draft(module._buffers))
            names = module._non_persistent_buffers_set
            change.attributes(module)["_non_persistent_buffers_set"] = {
                name for name in names if not is_wire(name)
            }


def _without_wires(store: MutableMapping[str, Any]) -> None:
    for name in [name for name in store if is_wire(name)]:
        del store[name]


def uninstall(change: Change, model: nn.Module) -> None:
    """Take the tensors, patched classes and wires out. Parameters are not written; flags go back to
    what they were.
    """
    what = attached(model)
    plan: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    unpatch(change, model)
    for planned in plan.attachments:
        change.draft(model.get_submodule(planned.home)._modules).pop(planned.child, None)
        if any(tensor.scope is not None for tensor in planned.tensors):
            change.draft(model._modules).pop(planned.child, None)
    for name, was in what.flags:
        change.train(model.get_parameter(name), was)
