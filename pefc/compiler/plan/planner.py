"""From a checked spec and a model to a plan."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import assert_never

from torch import nn

from ...dsl import syntax
from ...dsl.checked import (
    Attachment,
    Checked,
    Fusion,
    Modified,
    Quantization,
    Step,
    Tuning,
    in_turn,
)
from ...dsl.diagnostics.adapterdrop import OutsideLayers
from ...dsl.diagnostics.compiling import NotCompiled
from ...dsl.diagnostics.placement import NoSites
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ..lower import TASK, Elaborated, Member
from ..model import Site, SiteTable
from ..prove import Verdict
from ..roles import find_sites
from ..select import Selected, TermMatch, select
from .conflicts import Claims
from .instantiate import (
    check_called,
    check_count,
    counted,
    elaborated_for,
    folds_alone,
    judged,
    largest_dims,
    part_key,
    slice_name,
    stated,
    tuned_parameters,
    with_gate,
)
from .modifiers import Parts, dropped, fusing, parts
from .placement import Place, place
from .plan import Dropping, Plan, Planned, patched_modules
from .port_access import check_reach
from .quantization import Quantizing
from .ranks import lengths_at, uneven_schedules
from .task_parameters import Owning
from .trainable import Training, parameter_count, parameter_names, place_of

_RULES = (syntax.Rule, syntax.Extend, syntax.Loss, syntax.Shrink, syntax.Rebase, syntax.When)
_PATCHED = {"linear", "any", "block", "attention", "tokens"}
"""What a method may change; `any` only where it is linear."""


def plan(checked: Checked, model: nn.Module) -> Plan:
    """What a spec would do to a model, which is not touched. Weights are not read: a model on
    `meta` will do.

    Raises SpecError with every mistake that the model brings to light.
    """
    table = find_sites(model)
    names = parameter_names(model)
    quantizing = Quantizing(model, names)
    training = Training(model, names, quantizing.packings)
    claims = Claims(model, table.model)
    planner = _Planner(model, checked, table, training, claims, quantizing, Owning(model))
    for step in in_turn(checked.steps):
        planner.take(step, _Around())
    planner.mistakes.extend(uneven_schedules(planner.attachments))
    if planner.mistakes:
        raise SpecError(planner.mistakes)
    return planner.result()


@dataclass(frozen=True, slots=True)
class _Around:
    """What stands around a statement."""

    dropping: int | None = None
    """The `adapterdrop` of the plan."""
    gated: bool = False
    parts: Parts = ()
    """The methods of tasks that a fusion weighs."""
    owns: bool = False
    """The method is the copy of a parameter that a task trains."""

    @property
    def modifier(self) -> str | None:
        """The innermost that a fusion cannot stand in."""
        return "gate" if self.gated else None if self.dropping is None else "adapterdrop"


@dataclass(slots=True)
class _Planner:
    model: nn.Module
    checked: Checked
    table: SiteTable
    training: Training
    claims: Claims
    quantizing: Quantizing
    owning: Owning
    mistakes: list[Diagnostic] = field(default_factory=list)
    attachments: list[Planned] = field(default_factory=list)
    keys: list[object] = field(default_factory=list)
    drops: list[Dropping] = field(default_factory=list)
    fused: set[str] = field(default_factory=set)
    terms: list[TermMatch] = field(default_factory=list)
    verdicts: dict[object, Verdict] = field(default_factory=dict)
    methods: dict[object, int] = field(default_factory=dict)
    """A number for each method with its arguments; hashing a formula takes a while."""
    elaborated: dict[tuple[int, object], Elaborated] = field(default_factory=dict)
    firsts: dict[tuple[int, object], tuple[int, object]] = field(default_factory=dict)
    """By the key of a method that of the first one which equals it."""

    def take(self, step: Step, around: _Around) -> None:
        """Plan one step."""
        try:
            match step:
                case Attachment():
                    self._attach(step, around)
                case Tuning():
                    self._tune(step)
                case Modified("adapterdrop"):
                    self._drop(step, around)
                case Modified():
                    for inner in step.body:
                        self.take(inner, replace(around, gated=True))
                case Fusion():
                    self._fuse(step, around)
                case Quantization():
                    self.quantizing.take(step, self._select(step.selection, "linear"))
                case _:
                    assert_never(step)
        except SpecError as error:
            self.mistakes.extend(stated(diagnostic, step) for diagnostic in error.diagnostics)

    def result(self) -> Plan:
        shifts = {id(p.method.attachment): p.method.shift for p in self.attachments}
        return Plan(
            type(self.model).__name__,
            self.checked,
            self.table,
            tuple(self.attachments),
            tuple(patched_modules(self.attachments, self.keys)),
            tuple(self.training.tuned),
            tuple(self.terms),
            parameter_count(self.model),
            tuple(dict.fromkeys(p.task for p in self.attachments if p.task is not None)),
            frozenset(self.fused),
            tuple(self.drops),
            tuple(self.quantizing.packings.values()),
            self.quantizing.floating(self.table),
            sum(shifts.values()),
        )

    def _select(self, selection: syntax.Selection | None, kind: str) -> tuple[Site, ...]:
        selected: Selected = select(selection, kind, self.table, dict(self.checked.constants))
        self.terms.extend(selected.terms)
        return selected.sites

    def _drop(self, step: Modified, around: _Around) -> None:
        dropping = dropped(step, self.table.layers, self.drops)
        if around.dropping is not None:
            raise SpecError([NotCompiled(step.span, "`adapterdrop` inside of `adapterdrop`")])
        self.drops.append(dropping)
        number = len(self.drops) - 1
        for inner in step.body:
            self.take(inner, replace(around, dropping=number))

    def _fuse(self, step: Fusion, around: _Around) -> None:
        """A fusion reads what tasks have at its sites, wherever the spec names them."""
        attachment = fusing(step, around.modifier)
        sites = self._select(step.selection, "block")
        self.fused.update(step.members)
        for site in sites:
            where, numbers = self._dims(attachment, site, {})
            found = parts(step, where, self.attachments)
            self._place(attachment, site, where, numbers, numbers, _Around(parts=found))

    def _attach(self, step: Attachment, around: _Around) -> None:
        kind = step.method.site
        only_tunes = not any(isinstance(item, _RULES) for item in step.method.body)
        if kind not in _PATCHED and not only_tunes:
            raise SpecError([NotCompiled(step.span, f"`{step.method.name}` on {kind}")])
        sites = self._select(step.selection, kind)
        if not sites and step.selection is None:
            raise SpecError([NoSites(step.span, kind, self.table.model)])
        check_count(step.expect, sites, step)
        if around.gated and tuned_parameters(step.method):
            raise SpecError([NotCompiled(step.span, "training the base in `gate`")])
        if only_tunes:
            if around.dropping is not None:
                raise SpecError([NotCompiled(step.span, "training the base in `adapterdrop`")])
            self._train(step, sites, tuned_parameters(step.method))
            return
        pairs = zip(sites, counted(step.method, sites), strict=True)
        dims = [self._dims(step, site, count) for site, count in pairs]
        largest = largest_dims(dims)
        for site, (where, numbers) in zip(sites, dims, strict=True):
            if around.dropping is not None and site.layer is None:
                raise SpecError([OutsideLayers(place_of(step), site.path)])
            self._place(step, site, where, numbers, largest, around)

    def _dims(
        self, step: Attachment, site: Site, counts: Mapping[str, int]
    ) -> tuple[Place, dict[str, int]]:
        """The place of a site, and the numbers that its formulas may name."""
        if step.method.site in {"linear", "any"} and site.kind != "linear":
            what = f"`{step.method.name}` on the {site.kind} `{site.path}`"
            raise SpecError([NotCompiled(step.span, what)])
        check_called(site, step)
        where = place(site, self.table, self.model, place_of(step))
        where = self.quantizing.packed(where, site.path)
        if site.kind == "linear":
            assert site.inputs is not None
            assert site.width is not None
            sizes = {"in": site.inputs, "out": site.width}
            return where, {**sizes, **counts, **lengths_at(step, site)}
        return where, {**where.facts.dims, **counts}  # pyright: ignore[reportAttributeAccessIssue]

    def _place(
        self,
        step: Attachment,
        site: Site,
        where: Place,
        dims: Mapping[str, int],
        largest: Mapping[str, int],
        around: _Around,
    ) -> None:
        key, method = self._method(step, site, dims, largest)
        prefix = step.label if site.slice is None else f"{step.label}.{slice_name(site)}"
        prefix = prefix if step.task is None else f"{TASK}.{prefix}"
        if around.gated:
            method = with_gate(method, where.facts, step)
        member = Member(method, site.slice, prefix, around.gated, around.parts, around.owns)
        same = (self._number(step), key[1])
        weighed = tuple((task, *map(part_key, part)) for task, part in around.parts)
        full_key = (same, site.slice, prefix, where.facts, around.gated, weighed)
        if full_key not in self.verdicts:
            self.verdicts[full_key] = judged(step, site, where, member)
        verdict = self.verdicts[full_key]
        planned = Planned(
            site,
            where,
            step.label,
            method,
            member,
            verdict,
            verdict.merges and folds_alone(site, where.facts, member),
            step.settings,
            around.dropping,
            step.task,
            step.span,
        )
        check_reach(planned, self.table, self.model, place_of(step))
        self.claims.claim(planned)
        self.attachments.append(planned)
        self.keys.append(full_key)
        if method.tunes:
            self._train(step, (site,), method.tunes)

    def _number(self, step: Attachment) -> int:
        """The same for statements of one method with the same arguments."""
        return self.methods.setdefault((step.method, step.arguments), len(self.methods))

    def _method(
        self, step: Attachment, site: Site, dims: Mapping[str, int], largest: Mapping[str, int]
    ) -> tuple[tuple[int, object], Elaborated]:
        """A method at a site with its key. Layers share it where no formula names the layer."""
        key = (id(step), tuple(dims.items()))
        if key not in self.elaborated:
            method = elaborated_for(step, dims, largest, site).without("layer")
            equal = (
                k for k, other in self.elaborated.items() if (k[0], other) == (id(step), method)
            )
            first = next(equal, key)
            self.elaborated[key] = self.elaborated.get(first, method)
            self.firsts[key] = first
        return self.firsts[key], self.elaborated[key]

    def _tune(self, step: Tuning) -> None:
        sites = self._select(step.selection, "any")
        check_count(step.expect, sites, step)
        names = ("weight", "bias") if step.what is None else (step.what,)
        self._train(step, sites, names)

    def _train(
        self, step: Attachment | Tuning, sites: tuple[Site, ...], names: tuple[str, ...]
    ) -> None:
        """Let parameters of the base train; in a task, copies of them."""
        for site in sites:
            check_called(site, step, names)
        if step.task is None:
            self.training.train(step, sites, names)
            return
        for site, found in self.training.named(step, sites, names):
            attachment = self.owning.attachment(step, site, found)
            if attachment is not None:
                where = place(site, self.table, self.model, place_of(step))
                dims = {"in": site.inputs, "out": site.width} if site.kind == "linear" else {}
                self._place(attachment, site, where, dims, dims, _Around(owns=True))  # pyright: ignore[reportArgumentType]
