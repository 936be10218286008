"""The live linker: modules keep their identity, path, class family and keys; their forward runs the
patch.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from torch import nn
from torch.fx import Graph

from ...dsl.diagnostics.attaching import AlreadyAttached, ForwardReplaced
from ...dsl.diagnostics.core import Diagnostic, SpecError
from ...runtime.installed import Installed, record, remember
from ...runtime.patched import patched_class
from ...runtime.tensors import Tensors
from ..attached import attached, by_statement
from ..patches import Patches
from ..plan import Patched, Plan
from .materialize import Materials


def check_free(plan: Plan, model: nn.Module) -> None:
    """Raise SpecError where the model carries a spec already, or a patch could never run."""
    check_unattached(model)
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


def install(plan: Plan, model: nn.Module, materials: Materials, patches: Patches) -> None:
    """Put the tensors and patched classes in place. On any failure the model is as it was."""
    installation = _Installation(model, patches)
    try:
        installation.run(plan, materials)
    except BaseException:
        installation.undo()
        raise


@dataclass(slots=True)
class _Installation:
    model: nn.Module
    patches: Patches
    undone_by: list[Callable[[], object]] = field(default_factory=list)
    classes: dict[object, type[nn.Module]] = field(default_factory=dict)

    def run(self, plan: Plan, materials: Materials) -> None:
        parameters = dict(self.model.named_parameters())
        flags = tuple((name, parameter.requires_grad) for name, parameter in parameters.items())
        tuned = {parameter.name for parameter in plan.tuned}
        originals = tuple(
            (name, self.model.get_parameter(name).detach().clone()) for name in sorted(tuned)
        )
        for name, was in flags:
            self._require(parameters[name], was=was, now=name in tuned)
        for label, tensors in materials.shared.items():
            self._add_child(self.model, label, tensors)
        for (path, label), tensors in materials.children.items():
            tensors.train(self.model.get_submodule(path).training)
            self._add_child(self.model.get_submodule(path), label, tensors)
        for patched in plan.modules:
            self._patch(patched)
        earlier = record(self.model)
        assert not isinstance(earlier, Installed)
        remember(self.model, Installed(plan, flags, originals, earlier))

    def undo(self) -> None:
        for step in reversed(self.undone_by):
            step()

    def _require(self, parameter: nn.Parameter, *, was: bool, now: bool) -> None:
        self.undone_by.append(partial(parameter.requires_grad_, was))
        parameter.requires_grad_(now)

    def _add_child(self, module: nn.Module, label: str, tensors: Tensors) -> None:
        self.undone_by.append(partial(module._modules.pop, label, None))
        module.add_module(label, tensors)

    def _patch(self, patched: Patched) -> None:
        module = self.model.get_submodule(patched.path)
        before = type(module)
        self.undone_by.append(partial(setattr, module, "__class__", before))
        key = (before, patched.key)
        if key not in self.classes:
            self.classes[key] = self._class(before, patched)
        module.__class__ = self.classes[key]

    def _class(self, base: type[nn.Module], patched: Patched) -> type[nn.Module]:
        graph = self.patches.fast(patched)
        port = next(node for node in graph.nodes if node.op == "placeholder")
        port.target = next(
            name for name in inspect.signature(base.forward).parameters if name != "self"
        )
        code = graph.python_code("self", verbose=False)
        return patched_class(base, _direct(code.src, graph), code.globals)


def _direct(source: str, graph: Graph) -> str:
    """Read tensors from the dicts that modules keep them in: attribute access of a module is slow
    in a decoding step.
    """
    for node in graph.find_nodes(op="get_attr"):
        if "trained" not in node.meta:
            continue
        first, *parents, name = str(node.target).split(".")
        store = "_parameters" if node.meta["trained"] else "_buffers"
        inner = "".join(f".{p}" if p == "shared" else f"._modules[{p!r}]" for p in parents)
        source = source.replace(
            f" = self.{node.target}\n", f" = self._modules[{first!r}]{inner}.{store}[{name!r}]\n"
        )
    return source


def uninstall(model: nn.Module) -> None:
    """Take the tensors and patched classes out. Parameters are not written; flags go back to what
    they were.
    """
    what = attached(model)
    plan: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    for patched in plan.modules:
        module = model.get_submodule(patched.path)
        module.__class__ = type(module).pefc_base  # pyright: ignore[reportAttributeAccessIssue]
        for planned in patched.members:
            module._modules.pop(planned.label, None)
    for planned in plan.attachments:
        if any(tensor.scope is not None for tensor in planned.tensors):
            model._modules.pop(planned.label, None)
    for name, was in what.flags:
        model.get_parameter(name).requires_grad_(was)
