"""A plan: what a spec does to a model, site by site. It is data; nothing has happened yet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import prod

from ...dsl.checked import Checked
from ...dsl.syntax.source import Span
from ...dsl.syntax.statement import Setting
from ...runtime.quantized.form import Form
from ..lower import TASK, Declared, Elaborated, Facts, Member
from ..model import Site, SiteTable
from ..prove import Verdict
from ..select import TermMatch
from .placement import Place, Ports


@dataclass(frozen=True, slots=True)
class Dropping:
    """One `adapterdrop`: how many of the first layers go without what it holds."""

    numbers: range
    """From which the number is drawn in each training step."""
    fixed: int
    """The number in evaluation."""
    seed: str = field(compare=False)
    """What its numbers are drawn from. It stays what it is when other tasks come and go."""


@dataclass(frozen=True, slots=True)
class Planned:
    """One method at one site."""

    site: Site
    place: Place
    label: str
    method: Elaborated
    member: Member
    """How the method enters the patch of its module."""
    verdict: Verdict
    merges: bool
    """It folds into parameters that nobody reads but their module."""
    settings: tuple[Setting, ...]
    dropping: int | None
    """Which `adapterdrop` of the plan may leave it out."""
    task: str | None
    """The task that it belongs to; None for all of them."""
    span: Span = field(compare=False, repr=False)

    @property
    def tensors(self) -> tuple[Declared, ...]:
        return self.method.tensors

    @property
    def stored(self) -> tuple[Declared, ...]:
        """All that the statement puts into the model here: tensors, and what trains their ranks."""
        return (*self.method.tensors, *self.method.states)

    @property
    def home(self) -> str:
        """The path of the module whose children the tensors are."""
        return self.place.home

    def path(self, tensor: Declared) -> str:
        """Where a tensor lives in the model."""
        if tensor.scope is None:
            return f"{self.home}.{self.prefix}.{tensor.name}".lstrip(".")
        return shared_path(self, tensor)

    @property
    def prefix(self) -> str:
        """The path of the tensors from the module that they stand at."""
        if self.task is None:
            return self.member.prefix
        return f"{self.task}.{self.member.prefix.removeprefix(f'{TASK}.')}"

    @property
    def child(self) -> str:
        """The name of the child of the module in which the tensors are."""
        return self.prefix.partition(".")[0]


def shared_path(planned: Planned, tensor: Declared) -> str:
    """Where a tensor lives that several sites share: under the label, at the top of the model."""
    label = planned.label if planned.task is None else f"{planned.task}.{planned.label}"
    if tensor.scope == "model":
        return f"{label}.{tensor.name}"
    role = (planned.site.role or "other").replace(".", "_")
    return f"{label}.{role}.{tensor.name}"


@dataclass(frozen=True, slots=True)
class Tuned:
    """A parameter of the model that trains."""

    name: str
    size: int
    site: Site
    settings: tuple[Setting, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Packing:
    """A base weight that is kept in few bits."""

    site: Site
    form: Form
    is_there: bool
    """The model arrived with it."""
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Floating:
    """A linear map that stays in floating point where others are quantized."""

    site: Site
    tied: str | None
    """The module with which it shares its weight."""


@dataclass(frozen=True, slots=True)
class Patched:
    """A module with the methods that stand on it, in the order of the spec."""

    path: str
    facts: Facts
    ports: Ports | None
    members: tuple[Planned, ...]
    key: object
    """Modules with equal keys have one patch."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a spec does to a model."""

    model: str
    checked: Checked
    table: SiteTable
    attachments: tuple[Planned, ...]
    modules: tuple[Patched, ...]
    tuned: tuple[Tuned, ...]
    terms: tuple[TermMatch, ...]
    total: int
    """Parameters of the model before anything is attached."""
    tasks: tuple[str, ...] = ()
    fused: frozenset[str] = frozenset()
    """Tasks that a fusion reads: they do not train any more."""
    drops: tuple[Dropping, ...] = ()
    packings: tuple[Packing, ...] = ()
    floating: tuple[Floating, ...] = ()
    """Of a plan that quantizes."""
    shift: int = 0
    """By how much the positions of the text's tokens grow."""

    @property
    def trainable(self) -> int:
        """Parameters that train once the spec is applied; shared ones count once."""
        trained = {
            planned.path(tensor): prod(tensor.shape)
            for planned in self.attachments
            for tensor in planned.tensors
            if not tensor.frozen and planned.task not in self.fused
        }
        tuned = {parameter.name: parameter.size for parameter in self.tuned}
        return sum(trained.values()) + sum(tuned.values())


def setting(name: str, tensor: str | None, settings: tuple[Setting, ...]) -> Setting | None:
    """What is said of a tensor: what is said of it itself comes before what is said of the
    statement.
    """
    root = None if tensor is None else tensor.partition(".")[0]
    for wanted in (root, None):
        for each in settings:
            if each.name == name and each.tensor == wanted:
                return each
    return None


def patched_modules(attachments: Sequence[Planned], keys: Sequence[object]) -> Iterator[Patched]:
    """Attachments by the module and the kind of patch that they enter, in the order of the spec;
    but a task's own copies of parameters first, since all else stands on them, and copies of whole
    parameters before those of rows.

    `keys` tell the patches of attachments apart.
    """
    grouped: dict[tuple[str, type], list[int]] = {}
    for number, planned in enumerate(attachments):
        grouped.setdefault((planned.home, type(planned.place.facts)), []).append(number)
    for (path, _), found in grouped.items():
        numbers = sorted(found, key=lambda number: _depth(attachments[number]))
        members = tuple(attachments[number] for number in numbers)
        where = members[0].place
        key = (
            where.facts,
            members[0].site.class_name,
            tuple(
                (keys[number], planned.dropping, planned.task)
                for number, planned in zip(numbers, members, strict=True)
            ),
        )
        yield Patched(path, where.facts, where.ports, members, key)


def _depth(planned: Planned) -> int:
    if not planned.member.owns:
        return 2
    return 0 if planned.member.rows is None else 1
