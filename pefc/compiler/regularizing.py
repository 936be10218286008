"""Regularisers: what methods add to the loss."""

import torch
from torch import Tensor, nn

from .attached import attached
from .lower import Site, loss_value, run
from .plan import Plan, Planned


def regularizer(model: nn.Module) -> Tensor:
    """The sum of the `loss +=` terms of everything attached; 0 where there is none.

    Raises SpecError where nothing is attached.
    """
    plan: Plan = attached(model).plan  # pyright: ignore[reportAssignmentType]
    total = next(model.parameters()).new_zeros(())
    for planned in plan.attachments:
        for number in range(len(planned.method.losses)):
            total = total + _value(planned, model, number)
    return total


def _value(planned: Planned, model: nn.Module, number: int) -> Tensor:
    module = model.get_submodule(planned.home)

    def read(path: str) -> object:
        found: object = module
        for part in f"{planned.prefix}{path.removeprefix(planned.member.prefix)}".split("."):
            found = getattr(found, part)
        return found

    graph = loss_value(planned.member, number)
    value = run(graph, Site(read, model.get_submodule))
    assert isinstance(value, torch.Tensor)
    return value
