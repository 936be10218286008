"""Losses: what methods add to the loss that a model returns while it trains."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from inspect import currentframe
from types import FrameType
from typing import Protocol
from weakref import ref

import torch
from torch import Tensor, nn

from ..tasks import Tasks
from .trainer import trainer_above

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


_IGNORED = -100
"""The label of a position that no loss counts."""
_CALLS = 16
"""So many calls, at most, are made before a step goes backward."""


@dataclass(frozen=True, slots=True)
class Term:
    """One `loss +=` of one method at one site."""

    home: str
    """The path of the module that has the tensors."""
    value: Callable[[nn.Module], Tensor]
    """From that module to a number."""
    task: str | None


@dataclass(slots=True)
class Owed:
    """Whether the terms of the calls of a model reach the gradients. What a user does with a loss
    is not seen, so three moments are: a call, a gradient that comes back, the terms in a loss.
    """

    missing: Callable[[nn.Module], None]
    """Says that they did not."""
    is_owed: bool = False
    """A call that trains has run, and its terms are in no loss yet."""
    is_late: bool = False
    """A gradient has come back since then."""
    is_told: bool = False
    sums: deque[object] = field(default_factory=lambda: deque(maxlen=_CALLS))
    """Where losses that calls have returned got their terms, as nodes of the graph of gradients."""

    def __deepcopy__(self, memo: object) -> "Owed":
        return Owed(self.missing)

    def call(self, model: nn.Module, *, is_owed: bool) -> None:
        """Another call; says once if an earlier one has trained without its terms."""
        if self.is_owed and self.is_late and not self.is_told:
            self.is_told = True
            self.missing(model)
        self.is_owed, self.is_late = is_owed, False

    def pay(self, _: object = None) -> None:
        """The terms are in a loss."""
        self.is_owed = False
        self.sums.clear()

    def come(self, _: object = None) -> None:
        """A gradient comes back to what a call returned."""
        self.is_late = True


@dataclass(slots=True)
class Terms:
    """All terms of a model."""

    each: tuple[Term, ...]
    owed: Owed = field(repr=False)

    def running(self, model: nn.Module) -> tuple[Term, ...]:
        """Those of no task, and of the tasks that run."""
        return tuple(term for term in self.each if _runs(term.task, model))

    def complete(self, model: nn.Module, loss: Tensor, share: float) -> Tensor:
        """A loss that gradients are about to come from, with the terms of the calls before it where
        it is made of none of the losses that these have returned.
        """
        owed = self.owed
        if not owed.is_owed or _is_made_of(loss, owed.sums):
            return loss
        owed.pay()
        return loss + share * self.total(model).to(loss)

    def total(self, model: nn.Module) -> Tensor:
        """The sum of those that run, in single precision at least: norms of what is nearly nothing
        would be lost in less.
        """
        found = self.running(model)
        device = next(model.parameters()).device.type
        known = torch.amp.is_autocast_available(device)
        with torch.autocast(device, enabled=False) if known else nullcontext():
            return summed([term.value(model.get_submodule(term.home)) for term in found], model)


def summed(values: list[Tensor], model: nn.Module) -> Tensor:
    """The sum of numbers that may be on several devices; 0 where there are none."""
    device = next(model.parameters()).device
    total = torch.zeros((), device=device)
    for value in values:
        precise = value.to(device=device, dtype=torch.promote_types(value.dtype, torch.float32))
        total = total + precise
    return total


def adding_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a model that adds its terms, `pefc_terms`, to the
    loss of what it returns while it trains.
    """

    def call(self: nn.Module, *args: object, **kwargs: object) -> object:
        result = base.__call__(self, *args, **kwargs)
        terms = self.pefc_terms
        assert isinstance(terms, Terms)
        if not self.training or torch.compiler.is_exporting():
            return result
        loss, added = _loss(result), None
        if loss is not None:
            added = _share(self, kwargs, loss) * terms.total(self).to(loss)
            result = _with_loss(result, loss + added)
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            _watch(terms, self, result, added)
        return result

    return {"__call__": call}


def _runs(task: str | None, model: nn.Module) -> bool:
    """Whether what belongs to a task runs now."""
    tasks = model.__dict__.get("pefc_tasks")
    if task is None or not isinstance(tasks, Tasks):
        return True
    active, rows = tasks.running
    return task == active if rows is None else task in rows


def _loss(result: object) -> Tensor | None:
    """The loss in what a model returns: by name, or as a number that comes first."""
    if isinstance(result, Mapping):
        found = result.get("loss")
    else:
        found = result[0] if isinstance(result, tuple) and result else None
    is_loss = isinstance(found, Tensor) and (isinstance(result, Mapping) or not found.ndim)
    return found if is_loss else None


def _with_loss(result: object, loss: Tensor) -> object:
    """What a model returns, with another loss."""
    if isinstance(result, tuple):
        rest = (loss, *result[1:])
        return type(result)(*rest) if hasattr(result, "_fields") else rest
    if type(result) is dict:
        return {**result, "loss": loss}
    result["loss"] = loss  # pyright: ignore[reportIndexIssue]
    return result


def _share(model: nn.Module, kwargs: Mapping[str, object], loss: Tensor) -> Tensor | float:
    """How much of the terms belongs to this call. A caller that accumulates gradients names the
    items of all its calls, by which the loss is divided: then each call has its share of them.
    """
    items = kwargs.get("num_items_in_batch")
    labels = kwargs.get("shift_labels")
    if labels is None:
        labels = kwargs.get("labels")
        if isinstance(labels, Tensor) and _shifts(model):
            labels = labels[..., 1:]
    if items is None or not isinstance(labels, Tensor):
        return 1.0
    share = labels.ne(_IGNORED).sum() / items  # pyright: ignore[reportOperatorIssue]
    return share.to(loss)


def _shifts(model: nn.Module) -> bool:
    """Whether the loss of a model of transformers says of each label that the one before predicts
    it, so that the first counts for nothing.
    """
    losses = sys.modules.get("transformers.loss.loss_utils")
    if losses is None or getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        return False
    kind = getattr(model, "loss_type", None)
    return losses.LOSS_MAPPING.get(kind) is losses.ForCausalLMLoss


def _watch(terms: Terms, model: nn.Module, result: object, added: Tensor | None) -> None:
    owed = terms.owed
    owed.call(model, is_owed=bool(terms.running(model)))
    if added is not None and added.requires_grad:
        added.register_hook(owed.pay)
        owed.sums.append(added.grad_fn)
    elif added is not None:
        owed.pay()
    first = next(iter(_differentiable(result)), None)
    if first is not None:
        first.register_hook(owed.come)
    if owed.is_owed:
        complete_losses(model, currentframe(), terms.complete)


def _is_made_of(loss: Tensor, sums: Iterable[object]) -> bool:
    """Whether a loss has any of these nodes behind it; those that calls have returned are near."""
    waiting, seen = deque([loss.grad_fn]), set[object]()
    while waiting:
        node = waiting.popleft()
        if any(node is each for each in sums):
            return True
        if node is not None and node not in seen:
            seen.add(node)
            waiting.extend(before for before, _ in node.next_functions)
    return False


def _differentiable(result: object) -> list[Tensor]:
    """The tensors that a gradient can come back to, but for the loss."""
    parts: tuple[object, ...] = (result,)
    if isinstance(result, Mapping):
        parts = tuple(value for name, value in result.items() if name != "loss")
    elif isinstance(result, tuple):
        parts = result
    return [p for p in parts if isinstance(p, Tensor) and p.requires_grad and p.ndim]
