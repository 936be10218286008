"""Selection: from a selector and a table to sites, with an account of every term."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from ...dsl.checked import Value
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...dsl.diagnostics.selection import (
    EmptySelection,
    MissingFact,
    NoSuchSite,
    OtherLayers,
    TooManyAlternatives,
    UnmatchedSelector,
)
from ...dsl.diagnostics.synonyms import SELECTORS
from ...dsl.evaluation import evaluate
from ...dsl.syntax.expression import Expression, Name
from ...dsl.syntax.selector import AnyOf, Both, ClassTerm, Except, Quoted, Selection, Selector, Term
from ...dsl.syntax.source import Span
from ...dsl.syntax.vocabulary import FACTS, ROLES
from ...dsl.syntax.walk import walk
from ..model import Site, SiteTable
from .globs import MOST_ALTERNATIVES, TooManyAlternativesError, alternatives
from .layer_ranges import Allowed, allowed
from .matching import ANY, Picker
from .site_sets import remaining, shared, united
from .suggestions import instead, known_names, roles_of_kinds

Leaf = Term | Quoted | ClassTerm


@dataclass(frozen=True, slots=True)
class TermMatch:
    """How many sites a term of a selector matched."""

    text: str
    matched: int
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Selected:
    """Sites in the order of the model, each once, and the account of the terms."""

    sites: tuple[Site, ...]
    terms: tuple[TermMatch, ...]


def select(
    selection: Selection | None, kind: str, table: SiteTable, constants: Mapping[str, Value]
) -> Selected:
    """The sites of a kind that a selection means; raises SpecError if a term or the whole means
    nothing.
    """
    picker = Picker(table, kind)
    if selection is None:
        return Selected(picker.everywhere(), ())
    resolver = _Resolver(picker, constants)
    sites = united(resolver.selection(selection, ()))
    if not sites and not resolver.found and not may_be_empty(selection):
        resolver.found.append(EmptySelection(selection.span, table.model))
    if resolver.found:
        raise SpecError(resolver.found)
    return Selected(_ordered(sites, table), tuple(resolver.terms))


def _ordered(sites: Iterable[Site], table: SiteTable) -> tuple[Site, ...]:
    paths = dict.fromkeys(path for site in table.sites for path in _places(site))
    order = {path: place for place, path in enumerate(paths)}
    return tuple(sorted(sites, key=lambda site: (order.get(site.path, -1), site.slice or ())))


def _places(site: Site) -> Iterator[str]:
    """A site is where its block begins, and where its attention product is."""
    yield site.path
    if site.attention is not None:
        yield site.attention.module


def may_be_empty(selection: Selection) -> bool:
    """Some term is marked `?`."""
    return any(isinstance(node, Leaf) and node.optional for node in walk(selection))


@dataclass(slots=True)
class _Resolver:
    picker: Picker
    constants: Mapping[str, Value]
    found: list[Diagnostic] = field(default_factory=list)
    terms: list[TermMatch] = field(default_factory=list)

    def selection(self, selection: Selection, layers: tuple[Allowed, ...]) -> tuple[Site, ...]:
        if selection.layers is not None:
            mistakes = len(self.found)
            clause = allowed(selection.layers, self.picker.table, self.constants, self.found)
            if len(self.found) > mistakes:
                return ()
            layers = (*layers, clause)
        if selection.selector is None:
            sites = _kept(self.picker.everywhere(), layers)
        else:
            sites = self.selector(selection.selector, layers)
        if selection.where is None:
            return sites
        return tuple(site for site in sites if self._holds(selection.where, site))

    def selector(self, selector: Selector, layers: tuple[Allowed, ...]) -> tuple[Site, ...]:
        match selector:
            case Selection():
                return self.selection(selector, layers)
            case AnyOf(members):
                return united(site for member in members for site in self.selector(member, layers))
            case Except(base, excluded):
                return tuple(remaining(self.selector(base, layers), self.selector(excluded, ())))
            case Both(left, right):
                return tuple(shared(self.selector(left, layers), self.selector(right, layers)))
            case Term() | Quoted() | ClassTerm():
                return self._leaf(selector, layers)
            case _:
                assert_never(selector)

    def _leaf(self, leaf: Leaf, layers: tuple[Allowed, ...]) -> tuple[Site, ...]:
        sites: list[Site] = []
        for pattern in self._patterns(leaf):
            matched = _picked(self.picker, leaf, pattern)
            kept = _kept(matched or (), layers)
            if not kept and not leaf.optional:
                self.found.append(self._mistake(leaf, pattern, matched))
            sites.extend(kept)
        whole = united(sites)
        self.terms.append(TermMatch(leaf.span.text, len(whole), leaf.span))
        return whole

    def _patterns(self, leaf: Leaf) -> tuple[str, ...]:
        if isinstance(leaf, ClassTerm):
            return (leaf.name,)
        try:
            return alternatives(leaf.pattern)
        except TooManyAlternativesError:
            self.found.append(TooManyAlternatives(leaf.span, MOST_ALTERNATIVES))
            return ()

    def _kinds(self, leaf: Leaf, pattern: str) -> Iterator[str]:
        """The kinds of the sites that a term reaches."""
        for kind in (*ANY, "param"):
            if _picked(Picker(self.picker.table, kind), leaf, pattern):
                yield kind

    def _mistake(self, leaf: Leaf, pattern: str, matched: tuple[Site, ...] | None) -> Diagnostic:
        table = self.picker.table
        shown = f":{pattern}" if isinstance(leaf, ClassTerm) else pattern
        if matched is None:
            names = known_names(
                table,
                classes=isinstance(leaf, ClassTerm),
                roles=isinstance(leaf, Term) or pattern in SELECTORS,
            )
            return UnmatchedSelector(
                leaf.span,
                shown,
                table.model,
                instead(table, pattern, classes=isinstance(leaf, ClassTerm)),
                names,
            )
        if not matched:
            kind = self.picker.kind
            kinds = ANY if kind == "any" else (kind,)
            found = tuple(self._kinds(leaf, pattern))
            roles = roles_of_kinds(table, kinds)
            closed = self.picker.closed(pattern, by_class=isinstance(leaf, ClassTerm))
            return NoSuchSite(leaf.span, shown, kinds, found, roles, closed)
        where = tuple(dict.fromkeys(site.layer for site in matched))
        return OtherLayers(leaf.span, shown, tuple(layer for layer in where if layer is not None))

    def _holds(self, where: Expression, site: Site) -> bool:
        facts: dict[str, Value] = dict(self.constants)
        known = {"in": site.inputs, "out": site.width, "layer": site.layer, **_heads(site)}
        facts |= {name: value for name, value in known.items() if value is not None}
        missing = [
            n
            for n in walk(where)
            if isinstance(n, Name) and n.name in FACTS and n.name not in facts
        ]
        if missing:
            if missing[0].name not in known:
                self._report(MissingFact(missing[0].span, missing[0].name, site.path))
            return False
        try:
            return bool(evaluate(where, facts))
        except SpecError as error:
            for diagnostic in error.diagnostics:
                self._report(diagnostic)
            return False

    def _report(self, diagnostic: Diagnostic) -> None:
        """A condition that fails for one site fails for many."""
        if not any(type(known) is type(diagnostic) for known in self.found):
            self.found.append(diagnostic)


def _heads(site: Site) -> dict[str, int]:
    """What is known of a site of attention alone."""
    ports = site.attention
    if ports is None or site.kind != "attention":
        return {}
    return {"heads": ports.heads, "kv_heads": ports.kv_heads, "head_dim": ports.head_dim}


def _picked(picker: Picker, leaf: Leaf, pattern: str) -> tuple[Site, ...] | None:
    """None where nothing matches; no sites where what matches holds none of the kind."""
    match leaf:
        case ClassTerm():
            return picker.class_(pattern)
        case Term() if _is_role(pattern):
            return picker.role(pattern)
        case _:
            return picker.paths(pattern)


def _kept(sites: Iterable[Site], layers: tuple[Allowed, ...]) -> tuple[Site, ...]:
    return tuple(site for site in sites if all(clause.holds(site) for clause in layers))


def _is_role(pattern: str) -> bool:
    family, dot, role = pattern.partition(".")
    return family in ROLES and (not dot or role in ROLES[family])
