"""A plan: what a spec does to a model, site by site. It is data; nothing has happened yet."""

from dataclasses import dataclass, field
from math import prod

from ..dsl.checked import Checked
from ..dsl.source import Span
from ..dsl.syntax import Setting
from .lower import Declared, Elaborated, LinearFacts, Member
from .select import TermMatch
from .site import Site, SiteTable
from .verdict import Verdict


@dataclass(frozen=True, slots=True)
class Planned:
    """One method at one site."""

    site: Site
    label: str
    method: Elaborated
    member: Member | None
    """How the method enters the patch of its module; None where it only trains what is there."""
    verdict: Verdict
    settings: tuple[Setting, ...]
    span: Span = field(compare=False, repr=False)

    @property
    def tensors(self) -> tuple[Declared, ...]:
        return self.method.tensors

    def path(self, tensor: Declared) -> str:
        """Where a tensor lives in the model."""
        prefix = self.label if self.member is None else self.member.prefix
        if tensor.scope is None:
            return f"{self.site.path}.{prefix}.{tensor.name}"
        return shared_path(self, tensor)


def shared_path(planned: Planned, tensor: Declared) -> str:
    """Where a tensor lives that several sites share: under the label, at the top of the model."""
    if tensor.scope == "model":
        return f"{planned.label}.{tensor.name}"
    role = (planned.site.role or "other").replace(".", "_")
    return f"{planned.label}.{role}.{tensor.name}"


@dataclass(frozen=True, slots=True)
class Tuned:
    """A parameter of the model that trains."""

    name: str
    size: int
    site: Site
    settings: tuple[Setting, ...]
    span: Span = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Patched:
    """A module with the methods that stand on it, in the order of the spec."""

    path: str
    facts: LinearFacts
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

    @property
    def trainable(self) -> int:
        """Parameters that train once the spec is applied; shared ones count once."""
        trained = {
            planned.path(tensor): prod(tensor.shape)
            for planned in self.attachments
            for tensor in planned.tensors
            if not tensor.frozen
        }
        tuned = {parameter.name: parameter.size for parameter in self.tuned}
        return sum(trained.values()) + sum(tuned.values())
