"""From a checked spec and a model to a plan."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from keyword import iskeyword
from typing import assert_never

from torch import nn

from ..dsl import syntax
from ..dsl.checked import Attachment, Checked, Fusion, Modified, Quantization, Step, Tuning
from ..dsl.diagnostics.compiling import (
    FormulaFailed,
    LabelTaken,
    NeverCalled,
    NoBias,
    NotCompiled,
    NotLowered,
    NoWeight,
    TiedTune,
    WrongSize,
)
from ..dsl.diagnostics.core import Diagnostic, SpecError
from ..dsl.diagnostics.selection import ExpectMismatch
from ..dsl.source import Span
from .lower import Elaborated, LinearFacts, Member, elaborate
from .plan import Patched, Plan, Planned, Tuned
from .roles import find_sites
from .select import Selected, TermMatch, may_be_empty, select
from .site import Site, SiteTable
from .verdict import Verdict, judge

_RULES = (syntax.Rule, syntax.Extend, syntax.Loss, syntax.Shrink, syntax.Rebase, syntax.When)


def plan(checked: Checked, model: nn.Module) -> Plan:
    """What a spec would do to a model, which is not touched. Weights are not read: a model on
    `meta` will do.

    Raises SpecError with every mistake that the model brings to light.
    """
    table = find_sites(model)
    planner = _Planner(model, checked, table, _names_of(model))
    for step in checked.steps:
        planner.take(step)
    if planner.mistakes:
        raise SpecError(planner.mistakes)
    return planner.result()


@dataclass(slots=True)
class _Planner:
    model: nn.Module
    checked: Checked
    table: SiteTable
    names: Mapping[int, list[str]]
    mistakes: list[Diagnostic] = field(default_factory=list)
    attachments: list[Planned] = field(default_factory=list)
    keys: list[object] = field(default_factory=list)
    tuned: list[Tuned] = field(default_factory=list)
    terms: list[TermMatch] = field(default_factory=list)
    verdicts: dict[object, Verdict] = field(default_factory=dict)
    elaborated: dict[object, Elaborated] = field(default_factory=dict)
    taken: dict[tuple[str, str], Planned] = field(default_factory=dict)

    def take(self, step: Step) -> None:
        try:
            match step:
                case Attachment():
                    self._attach(step)
                case Tuning():
                    self._tune(step)
                case Quantization() | Fusion() | Modified():
                    self.mistakes.append(NotCompiled(step.span, _called(step)))
                case _:
                    assert_never(step)
        except SpecError as error:
            self.mistakes.extend(_stated(diagnostic, step) for diagnostic in error.diagnostics)

    def result(self) -> Plan:
        seen: dict[int, int] = {id(p): p.numel() for p in self.model.parameters()}
        return Plan(
            type(self.model).__name__,
            self.checked,
            self.table,
            tuple(self.attachments),
            tuple(self._modules()),
            tuple(self.tuned),
            tuple(self.terms),
            sum(seen.values()),
        )

    def _modules(self) -> Iterator[Patched]:
        grouped: dict[str, list[int]] = {}
        for number, planned in enumerate(self.attachments):
            if planned.member is not None:
                grouped.setdefault(planned.site.path, []).append(number)
        for path, numbers in grouped.items():
            members = tuple(self.attachments[number] for number in numbers)
            facts = _facts(members[0].site)
            key = (
                facts,
                members[0].site.class_name,
                tuple(self.keys[number] for number in numbers),
            )
            yield Patched(path, facts, members, key)

    def _select(self, selection: syntax.Selection | None, kind: str) -> tuple[Site, ...]:
        selected: Selected = select(selection, kind, self.table, dict(self.checked.constants))
        self.terms.extend(selected.terms)
        return selected.sites

    def _attach(self, step: Attachment) -> None:
        kind = step.method.site
        if step.task is not None:
            raise SpecError([NotCompiled(step.span, f"a statement of the task `{step.task}`")])
        only_tunes = not any(isinstance(item, _RULES) for item in step.method.body)
        if kind not in {"linear", "any"} and not only_tunes:
            raise SpecError([NotCompiled(step.span, f"`{step.method.name}` on {kind}")])
        sites = self._select(step.selection, kind)
        _expect(step.expect, sites, step)
        if only_tunes:
            self._train(step, sites, _tunes(step.method))
            return
        largest = {"in": max(s.inputs or 0 for s in sites), "out": max(s.width or 0 for s in sites)}
        for site in sites:
            if site.kind != "linear":
                raise SpecError(
                    [
                        NotCompiled(
                            step.span, f"`{step.method.name}` on the {site.kind} `{site.path}`"
                        )
                    ]
                )
            self._place(step, site, largest)

    def _place(self, step: Attachment, site: Site, largest: Mapping[str, int]) -> None:
        if not site.called:
            raise SpecError([NeverCalled(_place_of(step), site.path)])
        assert site.inputs is not None
        assert site.width is not None
        dims = {"in": site.inputs, "out": site.width}
        key = (id(step), site.inputs, site.width)
        if key not in self.elaborated:
            self.elaborated[key] = elaborate(step, dims, largest, site.path)
        method = self.elaborated[key]
        prefix = step.label if site.slice is None else f"{step.label}.{_slice_name(site)}"
        member = Member(method, site.slice, prefix)
        full_key = (key, site.slice, prefix, site.bias)
        if full_key not in self.verdicts:
            self.verdicts[full_key] = _judged(step, site, member)
        planned = Planned(
            site, step.label, method, member, self.verdicts[full_key], step.settings, step.span
        )
        self._claim(planned)
        self._readable(planned)
        self.attachments.append(planned)
        self.keys.append(full_key)
        if method.tunes:
            self._train(step, (site,), method.tunes)

    def _claim(self, planned: Planned) -> None:
        """The label must be free at the site, in the model and in the spec."""
        assert planned.member is not None
        place = (planned.site.path, planned.member.prefix)
        earlier = self.taken.setdefault(place, planned)
        if earlier is not planned:
            raise SpecError(
                [LabelTaken(planned.span, planned.label, planned.site.path, earlier.span)]
            )
        owners = [(planned.site.path, self.model.get_submodule(planned.site.path))]
        if any(tensor.scope is not None for tensor in planned.tensors):
            owners.append((self.table.model, self.model))
        for path, module in owners:
            if hasattr(module, planned.label) or iskeyword(planned.label):
                raise SpecError([LabelTaken(planned.span, planned.label, path, None)])

    def _readable(self, planned: Planned) -> None:
        """A method that reads W needs what stands before it at the site to have a weight."""
        if not planned.method.reads_weight:
            return
        for earlier in self.attachments:
            if earlier.site.path == planned.site.path and not earlier.verdict.merges:
                raise SpecError(
                    [
                        NoWeight(
                            planned.span,
                            planned.label,
                            earlier.span,
                            earlier.label,
                            planned.site.path,
                        )
                    ]
                )

    def _tune(self, step: Tuning) -> None:
        if step.task is not None:
            raise SpecError([NotCompiled(step.span, f"a statement of the task `{step.task}`")])
        sites = self._select(step.selection, "any")
        _expect(step.expect, sites, step)
        self._train(step, sites, ("weight", "bias") if step.what is None else (step.what,))

    def _train(
        self, step: Attachment | Tuning, sites: tuple[Site, ...], names: tuple[str, ...]
    ) -> None:
        found = False
        paths = {site.path: site for site in sites}
        for path, site in paths.items():
            if site.slice is not None:
                raise SpecError(
                    [NotCompiled(_place_of(step), f"training rows of the fused `{path}`")]
                )
            own = dict(self.model.get_submodule(path).named_parameters(recurse=False))
            for name in names if len(names) == 1 else tuple(own):
                if name in own:
                    found = True
                    self._tuned(step, site, own[name], paths)
        if not found and not (step.selection and may_be_empty(step.selection)):
            raise SpecError([NoBias(_place_of(step), sites[0].path)])

    def _tuned(
        self,
        step: Attachment | Tuning,
        site: Site,
        parameter: nn.Parameter,
        paths: Mapping[str, Site],
    ) -> None:
        """A tied parameter trains only where every module that uses it is named; it counts once, by
        its first name.
        """
        names = self.names[id(parameter)]
        others = [name.rpartition(".")[0] for name in names if name.rpartition(".")[0] not in paths]
        if others:
            raise SpecError([TiedTune(_place_of(step), site.path, others[0])])
        if all(names[0] != tuned.name for tuned in self.tuned):
            self.tuned.append(Tuned(names[0], parameter.numel(), site, step.settings, step.span))


def _names_of(model: nn.Module) -> dict[int, list[str]]:
    """Every name of each parameter; tied ones have several."""
    names: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names.setdefault(id(parameter), []).append(name)
    return names


def _stated(diagnostic: Diagnostic, step: Step) -> Diagnostic:
    """A mistake in a formula also points to the statement that uses it."""
    if isinstance(diagnostic, FormulaFailed | NotLowered | WrongSize):
        return replace(diagnostic, statement=step.span)
    return diagnostic


def _judged(step: Attachment, site: Site, member: Member) -> Verdict:
    """The verdict; a bias that is missing is missing at this site."""
    try:
        return judge(_facts(site), member)
    except SpecError as error:
        missing = NoBias(_place_of(step), site.path)
        raise SpecError(
            missing if isinstance(d, NoBias) else d for d in error.diagnostics
        ) from error


def _place_of(step: Attachment | Tuning) -> Span:
    """The selection, where one is written."""
    return step.span if step.selection is None else step.selection.span


def _expect(expected: int | None, sites: tuple[Site, ...], step: Attachment | Tuning) -> None:
    if expected is not None and expected != len(sites):
        raise SpecError([ExpectMismatch(_place_of(step), expected, len(sites))])


def _facts(site: Site) -> LinearFacts:
    assert site.inputs is not None
    assert site.outputs is not None
    return LinearFacts(site.inputs, site.outputs, site.bias, transposed=site.class_name == "Conv1D")


def _slice_name(site: Site) -> str:
    return (site.role or "rows").rsplit(".", 1)[-1]


def _tunes(method: syntax.Method) -> tuple[str, ...]:
    return tuple(
        p.name for item in method.body if isinstance(item, syntax.Tune) for p in item.parameters
    )


def _called(step: Quantization | Fusion | Modified) -> str:
    match step:
        case Quantization():
            return "`quantize`"
        case Fusion():
            return "`fuse`"
        case Modified(modifier):
            return f"`{modifier}`"
        case _:
            assert_never(step)
