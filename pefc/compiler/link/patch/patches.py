"""The patch graphs of a plan, made once for all modules that have equal ones."""

from dataclasses import dataclass, field

from torch.fx import Graph

from ...lower import Facts, LinearFacts, Member, merged_parameters, plain_patch
from ...passes import optimized, thinned
from ...plan import Patched


@dataclass(frozen=True, slots=True)
class Patches:
    """Plain and fast graphs by the key of a patched module; each call hands out the one graph, not
    to be changed.
    """

    plain_graphs: dict[object, Graph] = field(default_factory=dict)
    fast_graphs: dict[object, Graph] = field(default_factory=dict)
    merged_graphs: dict[object, Graph] = field(default_factory=dict)

    def plain(self, patched: Patched) -> Graph:
        """The formula, literally."""
        if patched.key not in self.plain_graphs:
            self.plain_graphs[patched.key] = plain_patch(patched.facts, members(patched))
        return self.plain_graphs[patched.key]

    def fast(self, patched: Patched) -> Graph:
        """The same function in its fast order of evaluation."""
        if patched.key not in self.fast_graphs:
            self.fast_graphs[patched.key] = fast(patched.facts, self.plain(patched))
        return self.fast_graphs[patched.key]

    def fast_without(self, patched: Patched, dropped: frozenset[int]) -> Graph | None:
        """The fast patch of what these `adapterdrop`s do not leave out; None for nothing."""
        kept = tuple(p.member for p in patched.members if p.dropping not in dropped)
        if not kept:
            return None
        key = (patched.key, dropped)
        if key not in self.fast_graphs:
            self.fast_graphs[key] = fast(patched.facts, plain_patch(patched.facts, kept))
        return self.fast_graphs[key]

    def of_task(self, patched: Patched, task: str | None, dropped: frozenset[int]) -> Graph:
        """The fast patch that runs for a task: what belongs to it, and to none."""
        kept = tuple(
            planned
            for planned in patched.members
            if planned.task in {None, task} and planned.dropping not in dropped
        )
        members = tuple(planned.member for planned in kept)
        key = (patched.facts, tuple((p.dropping, form(p.member)) for p in kept))
        if key not in self.fast_graphs:
            self.fast_graphs[key] = fast(patched.facts, plain_patch(patched.facts, members))
        return self.fast_graphs[key]

    def forms(self, patched: Patched) -> tuple[Graph, ...]:
        """The graphs of all forms that a patch may take: one, or that of no task and of each."""
        tasks = tasks_of(patched)
        if not tasks:
            return (self.fast(patched),)
        return tuple(self.of_task(patched, task, frozenset()) for task in (None, *tasks))

    def merged(self, patched: Patched) -> Graph:
        """The weight and bias that stand for the module with its methods."""
        if patched.key not in self.merged_graphs:
            assert isinstance(patched.facts, LinearFacts)
            graph = merged_parameters(patched.facts, members(patched))
            self.merged_graphs[patched.key] = thinned(graph)
        return self.merged_graphs[patched.key]


def fast(facts: Facts, graph: Graph) -> Graph:
    """A graph of a site in its fast order of evaluation."""
    packed = isinstance(facts, LinearFacts) and facts.packed is not None
    return optimized(graph, packed=packed)


def tasks_of(patched: Patched) -> tuple[str, ...]:
    """The tasks that have methods at a module."""
    return tuple(dict.fromkeys(p.task for p in patched.members if p.task is not None))


def form(member: Member) -> object:
    """All that a patch depends on besides the place: two tasks that agree in it have one patch."""
    method = member.method.without("layers")
    return (
        member.prefix,
        method.attachment.method,
        method.attachment.arguments,
        frozenset(method.numbers.items()),
        tuple(method.lengths.items()),
        tuple(tensor.shape for tensor in method.tensors),
        member.rows,
        member.gated,
        tuple((task, tuple(map(form, part))) for task, part in member.parts),
    )


def members(patched: Patched) -> tuple[Member, ...]:
    """How the methods of a module enter its patch."""
    return tuple(planned.member for planned in patched.members)
