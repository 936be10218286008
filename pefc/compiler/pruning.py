"""Pruning of fusions: the tasks whose weight is least leave each layer, measured on data."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..dsl.checked import Fusion, Step
from ..dsl.checker import check
from ..dsl.diagnostics.core import SpecError
from ..dsl.diagnostics.tasks import NoFusion, TooFewKept
from ..dsl.parser import parse
from ..dsl.source import Source
from ..runtime.patched import bare
from .attached import attached
from .fusing import FUSION
from .gates import gates
from .growing import change
from .plan import Plan
from .planning import plan as planned_on
from .tasking import set_task, task_names

Kept = dict[str, tuple[str, ...]]
"""The tasks that stay in the fusion of each place, by path."""
_LEAST = 2


def prune(model: nn.Module, batches: Iterable[object], keep: int) -> Kept:
    """Keep, at each fusion of a model, the tasks with the largest mean weights over some batches,
    and return them. The tasks themselves stay in the model.

    Raises SpecError where the model has no fusion, or fewer than two tasks would stay.
    """
    if FUSION not in task_names(model):
        raise SpecError([NoFusion(type(model).__name__)])
    if keep < _LEAST:
        raise SpecError([TooFewKept(keep)])
    plan = attached(model).plan
    assert isinstance(plan, Plan)
    weights = _measured(model, batches)
    kept: Kept = {}
    for planned in plan.attachments:
        if planned.member.parts:
            names = tuple(task for task, _ in planned.member.parts)
            mean = weights[f"{planned.home}.{planned.prefix}".lstrip(".")]
            best = mean.topk(min(keep, len(names))).indices.tolist()
            kept[planned.home] = tuple(names[place] for place in sorted(best))
    steps = (*_without_fusions(plan.checked.steps), *_fusions(kept, plan.tasks))
    after = planned_on(replace(plan.checked, steps=steps), bare(model))
    change(model, after, lambda _: None)
    return kept


def _measured(model: nn.Module, batches: Iterable[object]) -> Mapping[str, Tensor]:
    """The mean weight of each member, over all tokens of all batches."""
    modes = {module: module.training for module in model.modules()}
    active = model.__dict__["pefc_tasks"].active
    set_task(model.eval(), FUSION)
    sums: dict[str, Tensor] = {}
    try:
        with torch.no_grad():
            for batch in batches:
                model(**batch) if isinstance(batch, Mapping) else model(batch)
                for path, value in gates(model).items():
                    flat = value.flatten(0, -2)
                    total = torch.cat([flat.sum(0), flat.new_tensor([len(flat)])])
                    sums[path] = sums.get(path, torch.zeros_like(total)) + total
    finally:
        set_task(model, active)
        for module, mode in modes.items():
            module.training = mode
    return {path: total[:-1] / total[-1] for path, total in sums.items()}


def _without_fusions(steps: Sequence[Step]) -> Iterator[Step]:
    return (step for step in steps if not isinstance(step, Fusion))


def _fusions(kept: Kept, tasks: tuple[str, ...]) -> tuple[Step, ...]:
    """`fuse(a, b) on "layers.0.mlp", …`, one statement for the places that keep the same tasks."""
    places: dict[tuple[str, ...], list[str]] = {}
    for path, names in kept.items():
        places.setdefault(names, []).append(path)
    lines = (
        f"fuse({', '.join(names)}) on {', '.join(f'{path!r}' for path in paths)}"
        for names, paths in places.items()
    )
    text = "\n".join(lines).replace("'", '"')
    return check(parse(Source("<pruned>", text)), tasks=tasks).steps
