"""A method at the sites of a statement: its sizes, its verdict, and what is wrong with it there."""

from collections.abc import Mapping
from dataclasses import replace
from typing import assert_never

from ...dsl import syntax
from ...dsl.checked import Attachment, Step, Tuning
from ...dsl.diagnostics.compiling import (
    FormulaFailed,
    NeverCalled,
    NoBias,
    NotCompiled,
    NotLowered,
    WrongSize,
)
from ...dsl.diagnostics.placement import UnreachablePort
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...dsl.diagnostics.selection import ExpectMismatch
from ...dsl.syntax.vocabulary import SITES
from ..lower import (
    AttentionFacts,
    BlockFacts,
    Elaborated,
    Facts,
    LeafFacts,
    LinearFacts,
    Member,
    TokenFacts,
    elaborate,
    gate_tensors,
)
from ..model import Site
from ..prove import Verdict, folded_parameters, judge
from .placement import Place
from .trainable import place_of


def part_key(member: Member) -> object:
    """What tells the parts of fusions apart."""
    attachment = member.method.attachment
    return attachment.method, attachment.arguments, member.prefix, member.gated


def elaborated_for(
    step: Attachment, dims: Mapping[str, int], largest: Mapping[str, int], site: Site
) -> Elaborated:
    """A method for a size of site; there is one site of tokens, so that nothing is shared there."""
    method = elaborate(step, dims, largest, site.path)
    if site.kind != "tokens":
        return method
    return replace(method, tensors=tuple(replace(t, scope=None) for t in method.tensors))


def counted(method: syntax.Method, sites: tuple[Site, ...]) -> list[dict[str, int]]:
    """What the formulas of a method may name at each of its sites that counts these, if they do."""
    used = {node.name for node in syntax.walk(method) if isinstance(node, syntax.Name)}
    named = {"linear": {"sites"}, "attention": {"layer", "layers"}}
    count = len(sites)
    return [
        {
            name: number
            for name, number in (("sites", count), ("layers", count), ("layer", order))
            if name in used & named.get(site.kind, set())
        }
        for order, site in enumerate(sites)
    ]


def largest_dims(dims: list[tuple[Place, dict[str, int]]]) -> dict[str, int]:
    """The largest value of each dim over all sites of a statement."""
    largest: dict[str, int] = {}
    for _, numbers in dims:
        for name, value in numbers.items():
            largest[name] = max(value, largest.get(name, value))
    return largest


def stated(diagnostic: Diagnostic, step: Step) -> Diagnostic:
    """A mistake in a formula also points to the statement that uses it."""
    if isinstance(diagnostic, FormulaFailed | NotLowered | WrongSize):
        return replace(diagnostic, statement=step.span)
    return diagnostic


def judged(step: Attachment, site: Site, where: Place, member: Member) -> Verdict:
    """The verdict; what is missing for a formula is missing at this site."""
    try:
        return judge(where.facts, member)
    except SpecError as error:
        raise SpecError(_missing(d, step, site) for d in error.diagnostics) from error


def _missing(diagnostic: Diagnostic, step: Attachment, site: Site) -> Diagnostic:
    match diagnostic:
        case NoBias():
            return NoBias(place_of(step), site.path)
        case NotLowered(word=word) if word.strip("`") in SITES[step.method.site].calls:
            return UnreachablePort(place_of(step), word.strip("`"), site.path)
        case _:
            return diagnostic


def folds_alone(site: Site, facts: Facts, member: Member) -> bool:
    """Whether no parameter that would change in a merge is read past the module's forward."""
    if not site.elsewhere or not isinstance(facts, LinearFacts):
        return True
    return not folded_parameters(facts, (member,)) & dict(site.elsewhere).keys()


def check_called(site: Site, step: Attachment | Tuning, parameters: tuple[str, ...] = ()) -> None:
    """Raise SpecError where a module never runs, and none of these parameters of it is read."""
    read = dict(site.elsewhere)
    if site.called is False and not read.keys() & set(parameters):
        raise SpecError([NeverCalled(place_of(step), site.path, read.get("weight"))])


def check_count(expected: int | None, sites: tuple[Site, ...], step: Attachment | Tuning) -> None:
    if expected is not None and expected != len(sites):
        raise SpecError([ExpectMismatch(place_of(step), expected, len(sites))])


def slice_name(site: Site) -> str:
    return (site.role or "rows").rsplit(".", 1)[-1]


def tuned_parameters(method: syntax.Method) -> tuple[str, ...]:
    return tuple(
        p.name for item in method.body if isinstance(item, syntax.Tune) for p in item.parameters
    )


def with_gate(method: Elaborated, facts: Facts, step: Attachment) -> Elaborated:
    """A method with the tensors of its gate, which reads what the method reads."""
    match facts:
        case LinearFacts():
            width = facts.inputs
        case BlockFacts() | AttentionFacts():
            width = facts.width
        case TokenFacts():
            raise SpecError([NotCompiled(step.span, "a gate over tokens")])
        case LeafFacts():
            raise AssertionError("what a task trains of the base has no gate")
        case _:
            assert_never(facts)
    return replace(method, tensors=(*method.tensors, *gate_tensors(method, width)))
