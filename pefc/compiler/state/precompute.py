"""Folding: prefixes and prompts that a network computes, as the tensors that it computes.

What does not depend on the call is a constant: `extend keys, values by f(E), g(E)` is
`extend keys, values by K, V` with the values that f and g have now. An adapter is saved that way
unless its training is to go on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from ...dsl import syntax
from ...dsl.checked import Attachment, Checked, Modified, Step, leaves
from ...dsl.syntax.source import Source, Span
from ...runtime.distributed import whole
from ...runtime.patched import outlined
from ..lower import Site, extension_values, run
from ..ops import shape
from ..plan import Plan, Planned
from ..plan import plan as planned_on

_NAMES = {"keys": "K", "values": "V", "tokens": "P"}
_PREFIX = "folded_"
_NOWHERE = Span(Source("<folded>", ""), 0, 0)


@dataclass(frozen=True, slots=True)
class Folded:
    """A plan that does the same with fewer tensors, and the values of those that are new."""

    plan: Plan
    values: Mapping[str, Tensor]
    """By their paths in the model."""


def folded(plan: Plan, model: nn.Module) -> Folded:
    """The plan of a model with everything folded that can be. The model is not changed."""
    groups: dict[int, list[Planned]] = {}
    for planned in plan.attachments:
        groups.setdefault(id(planned.method.attachment), []).append(planned)
    methods = {
        number: _method(members[0], f"{_PREFIX}{place}")
        for place, (number, members) in enumerate(groups.items(), start=1)
        if _is_foldable(members)
    }
    if not methods:
        return Folded(plan, {})
    steps = tuple(_steps(plan.checked.steps, methods))
    checked = replace(plan.checked, steps=steps)
    values = {
        path: value
        for number in methods
        for planned in groups[number]
        for path, value in _values(planned, model)
    }
    return Folded(planned_on(checked, outlined(model)), values)


def folded_labels(checked: Checked) -> tuple[str, ...]:
    """The labels of a saved spec under which there are values in place of what computed them."""
    steps = (step for step in leaves(checked.steps) if isinstance(step, Attachment))
    return tuple(step.label for step in steps if step.method.name.startswith(_PREFIX))


def _is_foldable(members: list[Planned]) -> bool:
    """Methods that only extend, by something that has to be computed, of one size everywhere."""
    method = members[0].method
    if not method.extends or method.rules or method.tunes:
        return False
    extended = [value for extend in method.extends for value in extend.values]
    if all(isinstance(value, syntax.Name) and value.name not in method.lets for value in extended):
        return False
    return len({_sizes(planned) for planned in members}) == 1 and len(method.extends) == 1


def _sizes(planned: Planned) -> tuple[tuple[int, ...], ...]:
    outputs = extension_values(planned.place.facts, planned.member).output_node().args[0]
    return tuple(shape(node) for node in outputs)  # pyright: ignore[reportGeneralTypeIssues, reportOptionalIterable, reportArgumentType]


def _method(first: Planned, name: str) -> syntax.Method:
    """`K: [30, 2, 64] ~ normal(0, 1)` … `extend keys, values by K, V`."""
    attachment, (extend,) = first.method.attachment, first.method.extends
    names = [_NAMES[target] for target in extend.targets]
    drawn = syntax.Call(_name("normal"), (_argument(0), _argument(1)), _NOWHERE)
    tensors = tuple(
        syntax.Tensor(each, tuple(_number(n) for n in size), distribution=drawn, span=_NOWHERE)
        for each, size in zip(names, _sizes(first), strict=True)
    )
    body: list[syntax.MethodItem] = [*tensors]
    body.append(syntax.Extend(extend.targets, tuple(map(_name, names)), _NOWHERE))
    if first.method.shift:
        shift = _number(first.method.shift)
        body.append(syntax.Rule("positions", "+=", shift, span=_NOWHERE))
    about = syntax.Text(f"What {attachment.method.name} computed when it was saved", _NOWHERE)
    site = attachment.method.site
    return syntax.Method(name, (), site, about, tuple(body), _NOWHERE, _NOWHERE)


def _steps(steps: tuple[Step, ...], methods: Mapping[int, syntax.Method]) -> Iterator[Step]:
    for step in steps:
        match step:
            case Modified():
                yield replace(step, body=tuple(_steps(step.body, methods)))
            case Attachment() if id(step) in methods:
                whole = tuple(setting for setting in step.settings if setting.tensor is None)
                method = methods[id(step)]
                yield replace(step, method=method, arguments=(), settings=whole)
            case _:
                yield step


def _values(planned: Planned, model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The tensors that the networks of a site compute now."""
    module = model.get_submodule(planned.home)

    def read(path: str) -> object:
        found: object = module
        for part in f"{planned.prefix}{path.removeprefix(planned.member.prefix)}".split("."):
            found = getattr(found, part)
        return whole(found) if isinstance(found, Tensor) else found

    graph = extension_values(planned.place.facts, planned.member)
    with torch.no_grad():
        found = run(graph, Site(read, model.get_submodule))
    (extend,) = planned.method.extends
    for target, value in zip(extend.targets, found, strict=True):  # pyright: ignore[reportArgumentType]
        path = f"{planned.home}.{planned.prefix}.{_NAMES[target]}"
        yield path.lstrip("."), value


def _number(value: int) -> syntax.Number:
    return syntax.Number(value, _NOWHERE)


def _name(name: str) -> syntax.Name:
    return syntax.Name(name, _NOWHERE)


def _argument(value: int) -> syntax.Argument:
    return syntax.Argument(None, _number(value), _NOWHERE)
