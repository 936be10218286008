"""Unproven sites: of which neither a trace nor a run shows that their modules run. The plan says
so, the first call of the model shows more, and until then nothing is merged.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from torch import nn

from ...dsl.diagnostics.reaching import ReplacedOutput, UnprovenSites, UnreachedSites
from ...dsl.diagnostics.report import Diagnostic
from ...dsl.diagnostics.warn import warn
from ...runtime.calls import Reached
from ...runtime.patched import NAME, Installed, Unproven, record
from .plan import Patched, Plan, Planned, Tuned

Part = TypeVar("Part", Planned, Planned | Tuned)


def unproven(plan: Plan, model: nn.Module) -> Unproven | None:
    """The state of the sites of a plan of which nothing is known, and of those with hooks, which
    may give something else than the module does; None where there are none.
    """
    waiting = {planned.home for planned in _open(plan)}
    waiting |= {p for p in map(_path, _each(plan)) if model.get_submodule(p)._forward_hooks}
    return Unproven(waiting, _tell) if waiting else None


def remarks(plan: Plan) -> tuple[Diagnostic, ...]:
    """What is to be said of a plan: of each statement with such sites once."""
    return tuple(
        UnprovenSites(planned.span, planned.site.path, more, plan.model, plan.table.reason or "")
        for planned, more in _by_statement(_open(plan))
    )


def read_elsewhere(patched: Patched, model: nn.Module) -> Mapping[str, str] | None:
    """Who reads the parameters of a linear map past its forward, by their names; None where no call
    has shown it.
    """
    site, state = patched.members[0].site, model.__dict__.get(NAME)
    if not isinstance(state, Unproven):
        return None if site.called is None else dict(site.elsewhere)
    if patched.path in state.waiting and site.called is None:
        return None
    return {**dict(site.elsewhere), **state.elsewhere.get(patched.path, {})}


def _open(plan: Plan) -> Iterator[Planned]:
    return (planned for planned in plan.attachments if planned.site.called is None)


def _by_statement(each: Iterable[Part]) -> Iterator[tuple[Part, int]]:
    """The first of each statement, with the number of the others."""
    groups: dict[object, list[Part]] = {}
    for one in each:
        groups.setdefault(one.span, []).append(one)
    for first, *others in groups.values():
        yield first, len(others)


def _tell(model: nn.Module, found: Reached) -> None:
    what = record(model)
    if not isinstance(what, Installed):
        return
    plan: Plan = what.plan  # pyright: ignore[reportAssignmentType]
    missed = (planned for planned in _open(plan) if planned.home not in found.ran)
    for planned, more in _by_statement(missed):
        warn(UnreachedSites(planned.span, planned.site.path, more, plan.model))
    replaced = (each for each in _each(plan) if _path(each) in found.replaced)
    for first, more in _by_statement(replaced):
        warn(ReplacedOutput(first.span, _path(first), more))


def _each(plan: Plan) -> tuple[Planned | Tuned, ...]:
    return (*plan.attachments, *plan.tuned)


def _path(each: Planned | Tuned) -> str:
    """The path of the module that something is done to."""
    return each.home if isinstance(each, Planned) else each.name.rpartition(".")[0]
