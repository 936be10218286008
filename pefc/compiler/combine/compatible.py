"""Whether adapters can be combined: one base, one form, and values that can be added."""

from collections.abc import Iterator, Sequence
from math import isclose

from ...dsl.checked import Attachment
from ...dsl.diagnostics.adapters import WholeBuffers
from ...dsl.diagnostics.combine import NotLowRank, UnlikeBase, UnlikeForm, WholeParameters
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...runtime.files import differences
from .adapter import Adapter, Statement
from .low_rank_form import Unlike
from .options import LOW_RANK, Wanted
from .sites import Met, are_products, met

Group = tuple[Met | None, ...]
"""What the adapters have at one place."""


def aligned(adapters: Sequence[Adapter], wanted: Wanted) -> tuple[Group, ...]:
    """What the adapters have at each place, in their order.

    Raises SpecError where they do not fit together, or not in the way that is wanted.
    """
    first, *others = adapters
    _raise_any(WholeBuffers(a.folder, a.saved.buffers) for a in adapters if a.saved.buffers)
    _raise_any(_other_bases(first, others))
    _raise_any(_other_places(first, others))
    places = zip(*(each.places for each in adapters), strict=True)
    groups = tuple(
        tuple(met(each, place) for each, place in zip(adapters, group, strict=True))
        for group in places
    )
    _raise_any(_whole(first, wanted))
    if wanted.way in LOW_RANK:
        _raise_any(_other_methods(first, groups, wanted))
    _raise_any(_other_tensors(first, others, groups, wanted))
    return groups


def _raise_any(mistakes: Iterator[Diagnostic]) -> None:
    found = tuple(dict.fromkeys(mistakes))
    if found:
        raise SpecError(found)


def _other_bases(first: Adapter, others: Sequence[Adapter]) -> Iterator[Diagnostic]:
    for other in others:
        owned = {*first.tensors, *other.tensors}
        mine, theirs = (
            {name: facts for name, facts in each.saved.base.items() if name not in owned}
            for each in (first, other)
        )
        if found := differences(mine, theirs):
            yield UnlikeBase(first.folder, other.folder, found)


def _other_places(first: Adapter, others: Sequence[Adapter]) -> Iterator[Diagnostic]:
    for other in others:
        if found := tuple(_differences(first, other)):
            yield UnlikeForm(first.folder, other.folder, found)


def _differences(first: Adapter, other: Adapter) -> Iterator[str]:
    mine, theirs = (
        {(each.site, each.kind, each.label, each.statement, each.paths): each for each in a.places}
        for a in (first, other)
    )
    yield from (f"`{key[0]}` has no `{key[2]}`" for key in mine if key not in theirs)
    yield from (f"`{key[0]}` has a `{key[2]}` more" for key in theirs if key not in mine)
    if len(first.statements) != len(other.statements):
        yield f"it has {len(other.statements)} statements, not {len(first.statements)}"
        return
    for one, two in zip(first.statements, other.statements, strict=True):
        if one.around != two.around:
            yield f"other modifiers stand around {_name(two)}"
        if _method(one) != _method(two):
            yield f"{_name(two)} is another method"
    if tuple(mine) != tuple(theirs) and set(mine) == set(theirs):
        yield "its sites have another order"


def _name(statement: Statement) -> str:
    step = statement.step
    return f"`{step.label}`" if isinstance(step, Attachment) else "`tune`"


def _method(statement: Statement) -> object:
    step = statement.step
    return step.method if isinstance(step, Attachment) else step.what


def _whole(first: Adapter, wanted: Wanted) -> Iterator[Diagnostic]:
    is_mean = wanted.way == "linear" and isclose(sum(wanted.weights), 1)
    if first.tuned and not is_mean:
        yield WholeParameters(first.folder, first.tuned)


def _other_methods(first: Adapter, groups: Sequence[Group], wanted: Wanted) -> Iterator[Diagnostic]:
    for group in groups:
        one = group[0]
        if one is not None and isinstance(one.product, Unlike):
            yield NotLowRank(wanted.way, first.folder, one.placed.label, one.product.reason)


def _other_tensors(
    first: Adapter, others: Sequence[Adapter], groups: Sequence[Group], wanted: Wanted
) -> Iterator[Diagnostic]:
    """Shapes, and arguments where the tensors do not say it all; one diagnostic a folder."""
    any_rank = wanted.way in LOW_RANK
    for number, other in enumerate(others, start=1):
        found: dict[str, bool] = {}
        for group in groups:
            one, two = group[0], group[number]
            if one is not None and two is not None:
                is_rank = are_products((one, two))
                found |= dict.fromkeys(_in_site(one, two, any_rank=any_rank and is_rank), is_rank)
        found |= dict.fromkeys(_in_parameters(first, other), False)
        if found:
            only_ranks = all(found.values())
            yield UnlikeForm(first.folder, other.folder, tuple(found), only_ranks)


def _in_site(one: Met, two: Met, *, any_rank: bool) -> Iterator[str]:
    same_kind = are_products((one, two))
    if not same_kind and one.form.attachment.arguments != two.form.attachment.arguments:
        yield f"`{two.placed.label}` has other arguments"
        return
    for path, tensor in two.tensors.items():
        mine = one.tensors[path]
        if tensor.shape != mine.shape and not any_rank:
            yield f"`{path}` is {list(tensor.shape)}, not {list(mine.shape)}"
        elif _is_fixed(one, path) and not tensor.equal(mine):
            yield f"`{path}` is frozen and has other values"


def _is_fixed(one: Met, path: str) -> bool:
    return one.form.is_frozen(path) or not one.tensors[path].is_floating_point()


def _in_parameters(first: Adapter, other: Adapter) -> Iterator[str]:
    for path in first.tuned:
        mine, theirs = first.tensors[path].shape, other.tensors[path].shape
        if mine != theirs:
            yield f"`{path}` is {list(theirs)}, not {list(mine)}"
