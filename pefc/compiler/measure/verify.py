"""What a plan promises, measured on the model: nothing is believed that can be computed."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ...dsl.checked import Checked
from ...dsl.diagnostics.report import SpecError
from ...runtime.change import Change
from ..adapted import set_task, task_names
from ..link import Patches, Program, Tokenize, compiled, packed_modules, put, tasks_of
from ..lower import LeafFacts
from ..merge import Wish, merge, remove
from ..model import SEED, Inputs, digests, distance, gradients, outputs, random_inputs
from ..plan import Patched, Plan, plan
from ..prove import Identity
from .patch_distance import patch_distance

_STEPS = 32
"""How many roundings of a layer may add up."""
_SMALLEST = torch.float32
"""Models in fewer bits are measured in these; the identity is measured in their own too."""
_PERTURBATION = 0.02
_ORDER = (Identity.EXACT, Identity.ROUNDING, Identity.CHANGES)


@dataclass(frozen=True, slots=True)
class Measured:
    """One promise, and what was found."""

    what: str
    promised: str
    found: float | None
    """‖difference‖ / ‖value‖, or a count of what should not be; None where nothing was measured."""
    bound: float | None
    """The largest figure with which the promise holds."""
    holds: bool
    remark: str = ""


def verify(
    checked: Checked, model: nn.Module, tokenize: Tokenize | None = None
) -> Iterator[Measured]:
    """Measure, one after the other, what the plan of a spec promises. The model is then as it was.

    Raises SpecError where the spec does not compile on the model.
    """
    model = _base(checked, model)
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield from _attached(checked, model, tokenize)
        is_narrow = any(_is_narrow(parameter) for parameter in model.parameters())
        wide = deepcopy(model).to(_SMALLEST) if is_narrow else model
        yield from _perturbed(checked, wide, tokenize)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _base(checked: Checked, model: nn.Module) -> nn.Module:
    """The model, or a copy of it whose weights are quantized as the spec says. Nothing is shared
    with the copy: bitsandbytes rounds biases in place at the first call.
    """
    made = plan(checked, model)
    if not all(packing.is_there for packing in made.packings):
        model = deepcopy(model)
        change = Change()
        put(change, model, packed_modules(made, model))
        change.commit()
    return model


def _is_narrow(parameter: Tensor) -> bool:
    return parameter.is_floating_point() and parameter.dtype.itemsize < _SMALLEST.itemsize


def _attached(checked: Checked, model: nn.Module, tokenize: Tokenize | None) -> Iterator[Measured]:
    """As the spec is attached, before anything trains."""
    inputs = random_inputs(model)
    before = _run(model, inputs)
    state, keys = digests(model), set(model.state_dict())
    program = compiled(checked, model, tokenize)
    program.apply()
    for task in _tasks(program.plan):
        _choose(model, task)
        found = distance(before, _run(model, inputs))
        yield _identity(program.plan, task, found, _bound(program.plan, before))
    yield _count("base keys", "none is gone", keys - set(model.state_dict()))
    yield _count("frozen", "only what the spec names trains", _trained_beyond(program, model))
    remove(model)
    yield _restored("remove", model, state, distance(before, _run(model, inputs)))


def _perturbed(checked: Checked, model: nn.Module, tokenize: Tokenize | None) -> Iterator[Measured]:
    """With every trained tensor moved, since zeros hide mistakes."""
    inputs = random_inputs(model)
    before = _run(model, inputs)
    state = digests(model)
    program = compiled(checked, model, tokenize)
    program.apply()
    _perturb(model, program.plan)
    bound = _bound(program.plan, before)
    live = before
    for task in _tasks(program.plan):
        _choose(model, task)
        live = _run(model, inputs)
        moved = distance(before, live)
        promise = "perturbed tensors move the output"
        yield Measured(_called("effect", task), promise, moved, None, moved > 0)
    yield from _passes(program)
    yield _linkers(program, inputs, bound)
    yield _merged(program.plan, model, inputs, live, bound)
    remove(model)
    yield _restored("remove after merge", model, state, distance(before, _run(model, inputs)))


def _tasks(plan: Plan) -> tuple[str | None, ...]:
    """What runs at once, one after the other: each task, and what belongs to none."""
    is_shared = bool(plan.tuned) or any(planned.task is None for planned in plan.attachments)
    return (None, *plan.tasks) if is_shared or not plan.tasks else plan.tasks


def _choose(model: nn.Module, task: str | None) -> None:
    if task_names(model):
        set_task(model, task)


def _called(what: str, task: str | None) -> str:
    return what if task is None else f"{what} of {task}"


def _run(model: nn.Module, inputs: Inputs) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return outputs(model, inputs)


def _bound(plan: Plan, results: tuple[Tensor, ...]) -> float:
    """What rounding may do: some units in the last place, growing as a walk does with the depth."""
    coarsest = max((torch.finfo(result.dtype).eps for result in results), default=0.0)
    return _STEPS * coarsest * (1 + plan.table.layers) ** 0.5


def _identity(plan: Plan, task: str | None, found: float, bound: float) -> Measured:
    running = (planned for planned in plan.attachments if planned.task in {None, task})
    verdicts = [planned.verdict.identity for planned in running]
    what = _called("identity", task)
    worst = max(verdicts, key=_ORDER.index, default=Identity.EXACT)
    match worst:
        case Identity.EXACT:
            return Measured(what, "exact", found, 0.0, found == 0.0)
        case Identity.ROUNDING:
            return Measured(what, "rounding", found, bound, found <= bound)
        case Identity.CHANGES:
            return Measured(what, "changes", found, None, holds=True)


def _count(what: str, promised: str, exceptions: set[str]) -> Measured:
    remark = ", ".join(sorted(exceptions)[:3])
    return Measured(what, promised, float(len(exceptions)), 0.0, not exceptions, remark)


def _trained_beyond(program: Program, model: nn.Module) -> set[str]:
    """Parameters whose flag is not what the plan says."""
    plan = program.plan
    trains = (planned for planned in plan.attachments if planned.task not in plan.fused)
    named = {p.path(t) for p in trains for t in p.tensors if not t.frozen}
    named |= {tuned.name for tuned in plan.tuned}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    return trained ^ named


def _restored(what: str, model: nn.Module, state: dict[str, str], found: float) -> Measured:
    now = digests(model)
    changed = {name for name in state.keys() | now.keys() if state.get(name) != now.get(name)}
    remark = ", ".join(sorted(changed)[:3])
    return Measured(
        what,
        "weights, flags and classes are as before",
        found,
        0.0,
        not changed and not found,
        remark,
    )


def _perturb(model: nn.Module, plan: Plan) -> None:
    """What trains, and what has trained before a fusion took it."""
    fused = (planned for planned in plan.attachments if planned.task in plan.fused)
    names = {planned.path(tensor) for planned in fused for tensor in planned.tensors}
    generator = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad or name in names:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.add_(noise.to(parameter), alpha=_PERTURBATION)


def _passes(program: Program) -> Iterator[Measured]:
    """Each kind of patch once, in 64 bits; copies of the parameters of norms and the like have no
    formula.
    """
    patches = Patches()
    formulas = (p for p in program.plan.modules if not isinstance(p.facts, LeafFacts))
    kinds = {patched.key: patched for patched in formulas}
    found = [
        patch_distance(patched, patches, program.model, task)
        for patched in kinds.values()
        for task in _forms(patched)
    ]
    if found:
        bound = _STEPS * torch.finfo(torch.float64).eps * 2**10
        what = f"{len(found)} patch{'' if len(found) == 1 else 'es'} agree with their formulas"
        yield Measured("passes", what, max(found), bound, max(found) <= bound)


def _forms(patched: Patched) -> tuple[str | None, ...]:
    """The tasks by which a patch differs, and None where something belongs to none."""
    tasks = tasks_of(patched)
    is_shared = any(planned.task is None for planned in patched.members)
    return (None, *tasks) if is_shared else tasks


def _linkers(program: Program, inputs: Inputs, bound: float) -> Measured:
    """Outputs and gradients of the living model and of the rewritten graph."""
    what = "graph and model agree in outputs and gradients"
    trained = [parameter for parameter in program.model.parameters() if parameter.requires_grad]
    try:
        graph = program.graph
    except SpecError as error:
        first = error.diagnostics[0]
        remark = ": ".join((first.title(), *(label.text for label in first.labels()[:1])))
        return Measured("linkers", what, None, bound, holds=True, remark=remark)
    live, linked = outputs(program.model, inputs), outputs(graph, inputs)
    found = distance(live, linked)
    if any(result.requires_grad for result in live):
        found = max(found, distance(gradients(live, trained), gradients(linked, trained)))
    return Measured("linkers", what, found, bound, found <= bound)


def _merged(
    plan: Plan, model: nn.Module, inputs: Inputs, live: tuple[Tensor, ...], bound: float
) -> Measured:
    """Merges the model, or leaves it attached where the plan says that it does not merge."""
    affine = all(planned.merges for planned in plan.attachments)
    try:
        merge(model, Wish(keep_base=True))
    except SpecError as error:
        title = error.diagnostics[0].title()
        if not affine:
            return Measured("merge", "refused", None, None, holds=True, remark=title)
        return Measured(
            "merge", "agrees with the attached model", None, bound, holds=True, remark=title
        )
    found = distance(live, _run(model, inputs))
    return Measured(
        "merge", "agrees with the attached model", found, bound, affine and found <= bound
    )
