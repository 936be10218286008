"""What is attached to a model, or an error that nothing is; and errors at what is attached."""

from collections.abc import Iterable
from dataclasses import replace

from torch import nn

from ...dsl.diagnostics.attach_merge import (
    ForwardReplaced,
    LossyMerge,
    NoBiasToMerge,
    NotAffine,
    NotFinite,
    NothingAttached,
)
from ...dsl.diagnostics.processes import ModelInProcesses
from ...dsl.diagnostics.quantization import QuantizedMerge
from ...dsl.diagnostics.quantize_statement import NotFiniteWeight
from ...dsl.diagnostics.reaching import ReadElsewhere, UnprovenMerge
from ...dsl.diagnostics.report import Diagnostic, SpecError
from ...dsl.diagnostics.wrapping import AdapterOfPeft, OffloadedModel, WrappedModel
from ...runtime.distributed import is_spread, unwrapped
from ...runtime.patched import Installed, adapter_of_peft, inside, offloaded, place_in, record
from ..model import check_model, check_unflattened


def is_attached(model: nn.Module) -> bool:
    """Whether a spec is applied to a model."""
    return isinstance(record(model), Installed)


def attached(model: nn.Module) -> Installed:
    """What a model remembers of the spec that is applied to it. Raises SpecError if none is."""
    found = record(model)
    if not isinstance(found, Installed):
        raise SpecError([NothingAttached(type(model).__name__)])
    return found


def check_alone(model: nn.Module, doing: str) -> None:
    """Raise SpecError where a model is wrapped or spread over processes already, or another library
    has put something into it, and TypeError where it is none.
    """
    check_own(model, doing)
    if unwrapped(model) is not model or is_spread(model):
        raise SpecError([ModelInProcesses(type(unwrapped(model)).__name__, doing)])


def check_own(model: nn.Module, doing: str) -> None:
    """Raise SpecError where a wrapper stands in the place of a model, or another library has put
    modules or forwards of its own into it, and TypeError where it is none.
    """
    check_model(model)
    place = place_in(model)
    if place is not None:
        name = type(inside(model)).__name__
        raise SpecError([WrappedModel(name, type(model).__name__, place, doing)])
    check_unflattened(model)
    path = adapter_of_peft(model)
    if path is not None:
        raise SpecError([AdapterOfPeft(type(model).__name__, path, doing)])
    path = offloaded(model)
    if path is not None:
        raise SpecError([OffloadedModel(type(model).__name__, path, doing)])


def by_statement(mistakes: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """A mistake that a statement makes at many sites, once: the first, which counts the others."""
    groups: dict[object, list[Diagnostic]] = {}
    for mistake in mistakes:
        groups.setdefault(_group(mistake), []).append(mistake)
    return tuple(_counted(first, len(others)) for first, *others in groups.values())


_Repeated = (
    ForwardReplaced
    | LossyMerge
    | NoBiasToMerge
    | NotAffine
    | NotFinite
    | NotFiniteWeight
    | QuantizedMerge
    | ReadElsewhere
    | UnprovenMerge
)


def _group(mistake: Diagnostic) -> object:
    if isinstance(mistake, _Repeated):
        return type(mistake), mistake.span
    return mistake


def _counted(first: Diagnostic, others: int) -> Diagnostic:
    return replace(first, more=others) if isinstance(first, _Repeated) else first
