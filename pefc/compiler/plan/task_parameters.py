"""What a task trains of the base: copies of a site's own parameters, which belong to the task.

`tune` in a task attaches a method that says so, `weight: [out, in] = W; weight = weight`. It stands
before everything else at its site: what the other methods of the task change is then the copy.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

from ...dsl import syntax
from ...dsl.checked import Attachment, Tuning
from ...dsl.diagnostics.report import SpecError
from ...dsl.diagnostics.tasks import NoCopy
from ...dsl.syntax.source import Source, Span
from ..model import Site, is_transposed
from .instantiate import check_called
from .trainable import place_of

LABEL = "tune"
_NOWHERE = Span(Source("<tune>", ""), 0, 0)


@dataclass(slots=True)
class Owning:
    """Gives each task one copy of each parameter that its statements name."""

    model: nn.Module
    taken: set[tuple[str | None, str, object, str]] = field(default_factory=set)
    methods: dict[tuple[int, syntax.Method], Attachment] = field(default_factory=dict)
    """One for all sites of a statement that are alike."""

    def attachment(
        self, step: Attachment | Tuning, site: Site, names: tuple[str, ...]
    ) -> Attachment | None:
        """What a statement attaches to a site, for the named parameters that its task has no copy
        of yet; None where it has all.

        Raises SpecError where a task can have no copy.
        """
        module = self.model.get_submodule(site.path)
        _check(step, site, module)
        fresh = tuple(name for name in names if not self._has(step.task, site, name))
        self.taken.update((step.task, site.path, site.slice, name) for name in fresh)
        if not fresh:
            return None
        body = tuple(item for name in fresh for item in _copy(site, module, name))
        method = syntax.Method(LABEL, (), site.kind, None, body, _NOWHERE, _NOWHERE)
        whole = tuple(setting for setting in step.settings if setting.tensor is None)
        made = Attachment(method, (), step.selection, LABEL, None, whole, step.task, step.span)
        return self.methods.setdefault((id(step), method), made)

    def _has(self, task: str | None, site: Site, name: str) -> bool:
        """A copy of the whole parameter holds all rows of it."""
        return any((task, site.path, rows, name) in self.taken for rows in (None, site.slice))


def _check(step: Attachment | Tuning, site: Site, module: nn.Module) -> None:
    """Rows of a batch must be apart in what the module computes, and its parameters plain."""
    check_called(site, step)
    reason = _refusal(site, module)
    if reason is not None:
        raise SpecError([NoCopy(place_of(step), site.path, reason)])


def _refusal(site: Site, module: nn.Module) -> str | None:
    is_batch_norm = isinstance(module, nn.modules.batchnorm._BatchNorm)
    if is_batch_norm or getattr(module, "running_mean", None) is not None:
        return "which normalises over the rows of a batch"
    if site.kind == "embedding" and site.role != "embed":
        return "which embeds something else than tokens"
    return None


def _copy(site: Site, module: nn.Module, name: str) -> Iterator[syntax.MethodItem]:
    """`weight: [out, in] = W; weight = weight`, in the layout in which the module stores it."""
    own: syntax.Expression = _name(name)
    base: syntax.Expression = _name("b" if site.kind == "linear" and name == "bias" else "W")
    size = tuple(_size(site, module, name))
    if site.kind == "linear" and name == "weight" and is_transposed(module):
        size, base, own = size[::-1], _transposed(base), _transposed(own)
    yield syntax.Tensor(name, size, value=base, span=_NOWHERE)
    yield syntax.Rule(name, "=", own, span=_NOWHERE)


def _size(site: Site, module: nn.Module, name: str) -> Iterator[syntax.Expression]:
    if site.kind == "linear":
        yield from map(_name, ("out", "in") if name == "weight" else ("out",))
        return
    for length in module.get_parameter(name).shape:
        yield syntax.Number(length, _NOWHERE)


def _name(name: str) -> syntax.Name:
    return syntax.Name(name, _NOWHERE)


def _transposed(value: syntax.Expression) -> syntax.Attribute:
    return syntax.Attribute(value, "T", _NOWHERE)
