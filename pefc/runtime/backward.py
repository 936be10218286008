"""The backward pass of a Trainer, whose loss need not be the one that the model returned: with
smoothed labels, and in trainers that never build logits, it is computed from something else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Protocol
from weakref import ref

from torch import Tensor, nn

from .callers import trainer_above

Complete = Callable[[nn.Module, Tensor, float], Tensor]
"""From a model, a loss and the share of the terms that belongs to it, to a loss with the terms."""


class _Trainer(Protocol):
    """What a Trainer of transformers has, of which this module makes use."""

    accelerator: object
    current_gradient_accumulation_steps: int


@dataclass(slots=True)
class _Completed:
    """The `backward` of an Accelerator, which first lets a model complete the loss."""

    model: "ref[nn.Module]"
    trainer: "ref[_Trainer]"
    complete: Complete
    backward: Callable[..., object]

    def __call__(self, loss: Tensor, **kwargs: object) -> object:
        model, trainer = self.model(), self.trainer()
        if model is not None and trainer is not None and "pefc_terms" in model.__dict__:
            loss = self.complete(model, loss, 1 / trainer.current_gradient_accumulation_steps)
        return self.backward(loss, **kwargs)


def complete_losses(model: nn.Module, frame: FrameType | None, complete: Complete) -> None:
    """Let the Trainer that calls from a frame, if one does, give a model its losses to complete
    before the gradients are computed.
    """
    trainer: _Trainer | None = trainer_above(frame)  # pyright: ignore[reportAssignmentType]
    if trainer is None:
        return
    names = trainer.accelerator.__dict__
    present = names.get("backward")
    if isinstance(present, _Completed):
        if present.model() is model and present.complete == complete:
            return
        present = present.backward
    backward = trainer.accelerator.backward if present is None else present  # pyright: ignore[reportAttributeAccessIssue]
    names["backward"] = _Completed(ref(model), ref(trainer), complete, backward)
