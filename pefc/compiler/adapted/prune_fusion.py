"""Pruning of fusions: the tasks whose weight is least leave each layer, measured on data."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...dsl.checked import Fusion, Step
from ...dsl.checker.check import check
from ...dsl.diagnostics.fusion import NoBatches, NoFusion, TooFewKept, TooManyKept, UnfitBatch
from ...dsl.diagnostics.report import SpecError
from ...dsl.parsing import parse
from ...dsl.syntax.source import Source
from ...dsl.syntax.vocabulary import FUSION
from ...runtime.change import Change
from ...runtime.patched import bare
from ...runtime.tasks import NAME, Gates, run_task
from ..model import Site, SiteTable, reason_of
from ..plan import Plan, Planned, attached
from ..plan import plan as planned_on
from .add_tasks import replanning
from .gate_values import gates
from .set_task import task_names

_LEAST = 2


@dataclass(frozen=True, slots=True)
class Kept:
    """What stays of a fusion."""

    path: str
    """Of the module whose output it changes."""
    site: Site
    weights: tuple[tuple[str, float], ...]
    """The mean weight of each task that it had."""
    tasks: tuple[str, ...]
    """Those that stay, in their order."""


def prune(model: nn.Module, batches: Iterable[object], keep: int) -> tuple[Kept, ...]:
    """Keep, at each fusion of a model, the tasks with the largest mean weights over some batches.
    The tasks themselves stay in the model. On any mistake the model is as it was.

    Raises SpecError where the model has no fusion, one would keep fewer than two tasks, all of them
    would keep more than they have, or nothing can be measured.
    """
    fusions = _checked(model, keep)
    plan = attached(model).plan
    assert isinstance(plan, Plan)
    means = _measured(model, batches)
    kept = tuple(_kept(planned, means[_path(planned)], keep) for planned in fusions)
    others = (step for step in plan.checked.steps if not isinstance(step, Fusion))
    steps = (*others, *_fusions(kept, plan.table, plan.tasks))
    after = planned_on(replace(plan.checked, steps=steps), bare(model))
    replanning(model, after, lambda _: None).commit()
    return kept


def _checked(model: nn.Module, keep: int) -> tuple[Planned, ...]:
    """The fusions of a model."""
    plan = attached(model).plan
    assert isinstance(plan, Plan)
    fusions = tuple(planned for planned in plan.attachments if planned.member.parts)
    if not fusions or FUSION not in task_names(model):
        raise SpecError([NoFusion(type(model).__name__)])
    if keep < _LEAST:
        raise SpecError([TooFewKept(keep)])
    most = max(len(planned.member.parts) for planned in fusions)
    if keep > most:
        raise SpecError([TooManyKept(keep, most)])
    return fusions


def _path(planned: Planned) -> str:
    return f"{planned.home}.{planned.prefix}".lstrip(".")


def _kept(planned: Planned, means: Tensor, keep: int) -> Kept:
    names = tuple(task for task, _ in planned.member.parts)
    best = sorted(means.topk(min(keep, len(names))).indices.tolist())
    weights = tuple(zip(names, means.tolist(), strict=True))
    return Kept(planned.home, planned.site, weights, tuple(names[place] for place in best))


def _measured(model: nn.Module, batches: Iterable[object]) -> Mapping[str, Tensor]:
    """The mean weight of each member, over all tokens of all batches, in double precision."""
    change = Change()
    for module in model.modules():
        change.attributes(module)["training"] = False
        noted = module.__dict__.get(NAME)
        if isinstance(noted, Gates):
            change.assign(noted, "values", {})
    run_task(change, model, FUSION)
    sums = change.during(lambda: _summed(model, batches))
    if not sums:
        raise SpecError([NoBatches()])
    return {path: total[:-1] / total[-1] for path, total in sums.items()}


def _summed(model: nn.Module, batches: Iterable[object]) -> dict[str, Tensor]:
    """The sums of the weights of all members, and behind them the number of tokens."""
    sums: dict[str, Tensor] = {}
    for number, batch in enumerate(batches, 1):
        _run(model, batch, number)
        for path, value in gates(model).items():
            if value.ndim > 1:
                flat = value.flatten(0, -2).double()
                total = torch.cat([flat.sum(0), flat.new_tensor([len(flat)])])
                sums[path] = sums.get(path, torch.zeros_like(total)) + total
    return sums


def _run(model: nn.Module, batch: object, number: int) -> None:
    """Raises SpecError where the model does not take a batch."""
    try:
        with torch.no_grad():
            model(**batch) if isinstance(batch, Mapping) else model(batch)
    except Exception as error:
        raise SpecError([UnfitBatch(number, reason_of(error))]) from error


def _fusions(kept: Sequence[Kept], table: SiteTable, tasks: tuple[str, ...]) -> tuple[Step, ...]:
    """`fuse(a, b) on ffn & "layers.0.mlp", …`, one for the places that keep the same tasks."""
    groups: dict[tuple[str, ...], list[Site]] = {}
    for each in kept:
        groups.setdefault(each.tasks, []).append(each.site)
    lines = (
        f"fuse({', '.join(names)}) on {', '.join(_terms(sites, table))}\n"
        for names, sites in groups.items()
    )
    return check(parse(Source("<pruned>", "".join(lines))), tasks=tasks).steps


def _terms(sites: Sequence[Site], table: SiteTable) -> Iterator[str]:
    """Terms that select these blocks. Where a role and a path name one module, its values pass
    elsewhere for each of them, so that what a role selected is selected by it again.
    """
    blocks: dict[str | None, list[Site]] = {}
    for site in sites:
        blocks.setdefault(site.role if site in table.sites else None, []).append(site)
    for role, members in blocks.items():
        paths = ", ".join(f'"{site.path}"' for site in members)
        if role is None:
            yield paths
        elif all(site in members for site in table.sites if site.role == role):
            yield role
        else:
            yield f"{role} & ({paths})" if len(members) > 1 else f"{role} & {paths}"
