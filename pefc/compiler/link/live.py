"""The live linker: modules keep their identity, path, class family and keys; their forward runs the
patch.
"""

from collections.abc import Callable
from functools import partial

from torch import nn

from ...dsl.diagnostics.attaching import AlreadyAttached, ForwardReplaced
from ...dsl.diagnostics.core import Diagnostic, SpecError
from ...runtime.buffers import noted
from ...runtime.installed import Installed, record, remember
from ...runtime.patched import base_class, is_patched, is_wire
from ...runtime.rates import watch
from ..attached import attached, by_statement
from ..patches import Patches
from ..plan import Plan
from ..rating import rates
from .declaring import as_declared, declare
from .materialize import Materials
from .packing import Modules, settle
from .patching import Patching


def check_free(plan: Plan, model: nn.Module) -> None:
    """Raise SpecError where the model carries a spec already, or a patch could never run."""
    check_unattached(model)
    check_forwards(plan, model)


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


def install(
    plan: Plan, model: nn.Module, materials: Materials, patches: Patches, modules: Modules
) -> None:
    """Put the tensors and patched classes in place, and the quantized modules. On any failure the
    model is as it was.
    """
    patching = Patching(model, patches)
    try:
        patching.replace(modules)
        settle(model)
        if plan.packings:
            patching.undone_by.append(as_declared(model))
            declare(model)
        if not is_of_base(plan):
            _install(plan, patching, materials)
    except BaseException:
        patching.undo()
        raise


def _install(plan: Plan, patching: Patching, materials: Materials) -> None:
    model = patching.model
    parameters = dict(model.named_parameters())
    flags = tuple((name, parameter.requires_grad) for name, parameter in parameters.items())
    tuned = {parameter.name for parameter in plan.tuned}
    originals = tuple((name, model.get_parameter(name).detach().clone()) for name in sorted(tuned))
    buffers = noted(model)
    for name, was in flags:
        patching.undone_by.append(partial(parameters[name].requires_grad_, was))
        parameters[name].requires_grad_(name in tuned)
    patching.place(materials)
    patching.patch(plan, linear=True)
    train(plan, patching)
    earlier = record(model)
    assert not isinstance(earlier, Installed)
    remember(model, Installed(plan, flags, originals, buffers, earlier))
    watch(model, rates(plan))


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
                parameter = patching.model.get_parameter(planned.path(tensor))
                was = parameter.requires_grad
                patching.undone_by.append(partial(parameter.requires_grad_, was))
                parameter.requires_grad_(planned.task not in plan.fused)


def unpatch(model: nn.Module) -> Callable[[], None]:
    """Give every module its own class back, without wires; tensors stay. The function that comes of
    it puts the same classes and wires in again.
    """
    classes: list[tuple[nn.Module, type[nn.Module]]] = []
    taken: list[tuple[dict[str, object], dict[str, object]]] = []
    for module in model.modules():
        classes.append((module, type(module)))
        if is_patched(module):
            module.__class__ = base_class(module)
        stores: tuple[dict[str, object], ...] = (module.__dict__, module._buffers)  # pyright: ignore[reportAssignmentType]
        for store in stores:
            wires = {name: value for name, value in store.items() if is_wire(name)}
            taken.append((store, wires))
            for name in wires:
                del store[name]

    def patch_again() -> None:
        for module, patched in classes:
            module.__class__ = patched
        for store, wires in taken:
            store.update(wires)

    return patch_again


def uninstall(model: nn.Module) -> None:
    """Take the tensors, patched classes and wires out. Parameters are not written; flags go back to
    what they were.
    """
    what = attached(model)
    plan: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    unpatch(model)
    for planned in plan.attachments:
        model.get_submodule(planned.home)._modules.pop(planned.child, None)
        if any(tensor.scope is not None for tensor in planned.tensors):
            model._modules.pop(planned.child, None)
    for name, was in what.flags:
        model.get_parameter(name).requires_grad_(was)
