"""What an attachment must find free at its place, and what must stand there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from keyword import iskeyword

from torch import nn

from ...dsl.diagnostics.compiling import LabelTaken, NoWeight
from ...dsl.diagnostics.fusion import FusedTwice
from ...dsl.diagnostics.placement import UnequalShare
from ...dsl.diagnostics.report import SpecError
from ..lower import TASK
from .plan import Planned, shared_path


@dataclass(slots=True)
class Claims:
    """The labels and the shared tensors of a plan, as its attachments come."""

    model: nn.Module
    name: str
    """The class of the model."""
    taken: dict[tuple[str, str], Planned] = field(default_factory=dict)
    children: dict[tuple[str, str], Planned] = field(default_factory=dict)
    """The first attachment whose tensors are in a child of a module: all of them belong to one
    task, or to none.
    """
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    stacked: dict[tuple[str, str], list[Planned]] = field(default_factory=dict)
    """What is attached at a place, by its path and its kind."""

    def claim(self, planned: Planned) -> None:
        """Raises SpecError where a label is taken, a shared tensor has another shape, or a weight
        that the method reads is none any more.
        """
        self._label(planned)
        self._shares(planned)
        here = self.stacked.setdefault((planned.home, planned.site.kind), [])
        _readable(planned, here)
        here.append(planned)

    def _label(self, planned: Planned) -> None:
        """The label must be free at the module, in the model and in the spec."""
        place = (planned.home, planned.prefix)
        earlier = self.taken.setdefault(place, planned)
        if earlier is not planned and earlier.member.parts and planned.member.parts:
            raise SpecError([FusedTwice(planned.span, planned.home, earlier.span)])
        both_own = earlier.member.owns and planned.member.owns
        if earlier is not planned and not both_own:
            raise SpecError(
                [LabelTaken(planned.span, planned.label, planned.site.path, earlier.span)]
            )
        if iskeyword(planned.label) or planned.label == TASK:
            raise SpecError([LabelTaken(planned.span, planned.label, planned.home, None)])
        owners = {planned.home: self.model.get_submodule(planned.home)}
        if any(tensor.scope is not None for tensor in planned.tensors):
            owners[""] = self.model
        for path, module in owners.items():
            self._child(planned, path, module)

    def _child(self, planned: Planned, path: str, module: nn.Module) -> None:
        """The child that holds the tensors is no other one's."""
        name, where = planned.child, path or self.name
        if hasattr(module, name):
            raise SpecError([LabelTaken(planned.span, name, where, None, planned.task)])
        earlier = self.children.setdefault((path, name), planned)
        if earlier.task != planned.task:
            task = planned.task or earlier.task
            raise SpecError([LabelTaken(planned.span, name, where, earlier.span, task)])

    def _shares(self, planned: Planned) -> None:
        for tensor in planned.tensors:
            if tensor.scope is None:
                continue
            first = self.shapes.setdefault(shared_path(planned, tensor), tensor.shape)
            if first != tensor.shape:
                path = planned.site.path
                raise SpecError(
                    [UnequalShare(planned.span, tensor.name, path, tensor.shape, first)]
                )


def _readable(planned: Planned, below: Sequence[Planned]) -> None:
    """A method that reads W needs what stands before it at the site to have a weight."""
    if planned.member.owns or not planned.method.reads_weight:
        return
    for earlier in below:
        if earlier.task in {None, planned.task} and not earlier.verdict.affine:
            path = planned.site.path
            raise SpecError(
                [NoWeight(planned.span, planned.label, earlier.span, earlier.label, path)]
            )
