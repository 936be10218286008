"""What `pefc graph` shows of each kind of module: where its values pass, and its graphs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import assert_never

from torch import nn

from ...compiler.link import NO_TASK, Form, Program, forms, wires
from ...compiler.lower import (
    AttentionFacts,
    BlockFacts,
    Facts,
    LeafFacts,
    LinearFacts,
    TokenFacts,
    plain_patch,
)
from ...compiler.ops import Graphs, Line, graphs, listing
from ...compiler.plan import Patched, Plan
from ...compiler.trace import trace
from ...dsl.diagnostics.attach_merge import NotTraced
from ...dsl.diagnostics.report import SpecError
from .paths import collapsed

BEFORE, FORMULA, AFTER = "before", "after, as the formula says it", "after, as it runs"


@dataclass(frozen=True, slots=True)
class Part:
    """Modules that have one patch, and what they compute."""

    path: str
    title: str
    """The class, and the sizes that the patch depends on."""
    methods: tuple[str, ...]
    tensors: tuple[str, ...]
    """The names of the tensors that were added, as the lines have them."""
    stages: tuple[tuple[str, tuple[Line, ...]], ...]
    """Each ends in its result."""
    reads: tuple[str, ...] = ()
    """Where the values pass that the patch takes from elsewhere in the model."""


def parts(program: Program, modules: Iterable[Patched]) -> tuple[Part, ...]:
    """The kinds of patched modules, each once, and for each task that has methods there."""
    groups: dict[object, list[Patched]] = {}
    for patched in modules:
        groups.setdefault(patched.key, []).append(patched)
    return tuple(
        _part(program, members, form)
        for members in groups.values()
        for form in forms(members[0], program.patches)
    )


def _part(program: Program, members: Sequence[Patched], form: Form) -> Part:
    first = members[0]
    name = _result(first.facts)
    title = f"{type(program.model.get_submodule(first.path)).__name__}, {_sizes(first.facts)}"
    return Part(
        collapsed(patched.path for patched in members) or program.plan.model,
        ", ".join((title, *_whose(form.tasks))),
        tuple(planned.label for planned in form.members),
        tuple(
            planned.member.prefix + (".shared." if tensor.scope else ".") + tensor.name
            for planned in form.members
            for tensor in planned.tensors
        ),
        (
            (BEFORE, _before(first.facts, name)),
            (FORMULA, listing(form.plain, name)),
            (AFTER, listing(form.fast, name)),
        ),
        tuple(_reads(program, members)),
    )


def _whose(tasks: tuple[str, ...]) -> Iterator[str]:
    """For which tasks a patch runs, where there are several."""
    if tasks == (NO_TASK,):
        yield "without a task"
    elif tasks:
        yield f"task{'s' if len(tasks) > 1 else ''} {' and '.join(tasks)}"


def _sizes(facts: Facts) -> str:
    match facts:
        case LinearFacts():
            bias = ", with a bias" if facts.bias else ""
            return f"{facts.inputs} → {facts.outputs}{bias}"
        case BlockFacts():
            return f"where a block of width {facts.width} ends"
        case AttentionFacts():
            shared = "" if facts.kv_heads == facts.heads else f" over {facts.kv_heads} of keys"
            return f"{facts.heads} heads of {facts.head_dim}{shared}"
        case TokenFacts():
            return f"where a text of width {facts.width} is embedded"
        case LeafFacts():
            return ", ".join(f"{name} {list(shape)}" for name, shape in facts.parameters)
        case _:
            assert_never(facts)


def _result(facts: Facts) -> str:
    match facts:
        case LinearFacts() | BlockFacts() | LeafFacts():
            return "y"
        case AttentionFacts():
            return "context"
        case TokenFacts():
            return "front"
        case _:
            assert_never(facts)


def _before(facts: Facts, name: str) -> tuple[Line, ...]:
    """What the site gives by itself; nothing stands in front of a text."""
    match facts:
        case BlockFacts():
            return (Line(name, "base(x)", f"[…, {facts.width}]"),)
        case TokenFacts():
            return (Line(name, "nothing", ""),)
        case _:
            return listing(plain_patch(facts, ()), name)


def _reads(program: Program, members: Sequence[Patched]) -> Iterator[str]:
    """`x` with its module and argument; the paths of all the members as one."""
    found = [wires(patched, program.patches) for patched in members]
    for name, argument in found[0].own.items():
        yield f"{name} is `{argument.name}` of its own call"
    for name, entry in found[0].tapped.items():
        where = collapsed(wired.tapped[name].module for wired in found)
        yield f"{name} is `{entry.name}` of {where}"
    yield from _called(tuple(wired.modules for wired in found))
    if found[0].reads_text:
        yield "text says where the first and the last tokens stand"


def _called(found: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for name in found[0]:
        where = collapsed(modules[name] for modules in found)
        yield f"{name.removeprefix('pefc_')} is {where}"


_OF_LAYER = "after"


def layer_parts(program: Program, layer: int) -> tuple[Part, ...]:
    """Each module of a layer that has a graph of its own and is changed by the spec.

    Raises SpecError where the model cannot be traced.
    """
    plan = program.plan
    traced = trace(program.model)
    if traced.root is None:
        raise SpecError([NotTraced(plan.model, traced.reason or "")])
    before, after = graphs(traced.root), graphs(program.graph)
    within = _paths(plan, layer)
    return tuple(
        _layer_part(path, before, after, plan, program.model)
        for path in before
        if any(path == layer_path or path.startswith(f"{layer_path}.") for layer_path in within)
        and before[path] != after[path]
    )


def _paths(plan: Plan, layer: int) -> tuple[str, ...]:
    sites = plan.table.sites
    return tuple(site.path for site in sites if site.role == "layer" and site.layer == layer)


def _layer_part(path: str, before: Graphs, after: Graphs, plan: Plan, model: nn.Module) -> Part:
    inside = [p for p in plan.modules if path in {p.path, p.path.rpartition(".")[0]}]
    labels = dict.fromkeys(planned.label for patched in inside for planned in patched.members)
    return Part(
        path,
        type(model.get_submodule(path)).__name__,
        tuple(labels),
        tuple(_added(plan, path)),
        ((BEFORE, before[path]), (_OF_LAYER, after[path])),
    )


def _added(plan: Plan, path: str) -> Iterator[str]:
    """The tensors that were added below a module, by their names from it."""
    for planned in plan.attachments:
        for tensor in planned.tensors:
            name = planned.path(tensor)
            if name.startswith(f"{path}."):
                yield name.removeprefix(f"{path}.")
