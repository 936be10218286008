"""Checkpoints that a Trainer writes and reads: of all tensors, those that training changes or that
belong to an adapter.
"""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import _IncompatibleKeys

from ..calls import Drop
from ..patched import Tensors, base_buffers


def is_trainer(caller: FrameType | None) -> bool:
    """Whether a frame is that of a method of a Trainer, or of a subclass of it."""
    trainers = sys.modules.get("transformers.trainer")
    if caller is None or trainers is None:
        return False
    return isinstance(caller.f_locals.get("self"), trainers.Trainer)


def trainer_above(frame: FrameType | None) -> object:
    """The Trainer whose step of training a frame belongs to; None where it belongs to none."""
    while frame is not None:
        if frame.f_code.co_name == "training_step" and is_trainer(frame):
            return frame.f_locals["self"]
        frame = frame.f_back
    return None


def checks_quantization(caller: FrameType | None) -> bool:
    """Whether a frame is that in which a Trainer asks if a quantized model has something to
    train.
    """
    return caller is not None and caller.f_code.co_name == "validate_quantization_for_training"


MARK = "pefc.checkpoint"
"""The tensor that says of a file that it leaves the base out: how many numbers each `adapterdrop`
has drawn.
"""
ORIGIN = "pefc.origin"
"""The tensor that says what spec and what base it was written with: the bytes of a text."""


def kept(model: nn.Module, values: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The tensors of a checkpoint, by their names in the state of the model."""
    state = model.state_dict() if values is None else values
    names = _names(model, state)
    return {name: value for name, value in state.items() if name in names}


def mark(model: nn.Module) -> Tensor:
    """The tensor that goes with them."""
    return torch.tensor([drop.drawn for drop in _drops(model)], dtype=torch.int64)


def checkpoint_names(base: type[nn.Module]) -> dict[str, object]:
    """The names of a subclass of the class of a model that a Trainer trains. The model has the
    function that writes a checkpoint as `pefc_checkpoint`, and the one that says whether a
    checkpoint is of such a model as `pefc_origin`.
    """
    return {
        "save_pretrained": _saving(base.save_pretrained),  # pyright: ignore[reportAttributeAccessIssue]
        "load_state_dict": _loading(base.load_state_dict),
        "_hf_peft_config_loaded": _HasAdapter(),
    }


def _saving(save: Callable[..., object]) -> Callable[..., object]:
    """Writes the whole model, as it was asked to, unless it is a Trainer that asks."""

    @wraps(save)
    def save_pretrained(
        self: nn.Module, save_directory: str, *args: object, **kwargs: object
    ) -> object:
        frame = inspect.currentframe()
        if frame is None or not is_trainer(frame.f_back):
            return save(self, save_directory, *args, **kwargs)
        if kwargs.get("is_main_process", True):
            write = cast("Callable[..., None]", self.pefc_checkpoint)
            write(self, Path(save_directory), kwargs.get("state_dict"))
        return None

    return save_pretrained


def _loading(load: Callable[..., object]) -> Callable[..., object]:
    """Loads what it is given; where that leaves the base out, nothing of the base is missing."""

    @wraps(load)
    def load_state_dict(
        self: nn.Module,
        state_dict: Mapping[str, Tensor],
        strict: bool = True,  # noqa: FBT001, FBT002
        assign: bool = False,  # noqa: FBT001, FBT002
    ) -> object:
        if MARK not in state_dict:
            return load(self, state_dict, strict=strict, assign=assign)
        values = {n: value for n, value in state_dict.items() if n not in {MARK, ORIGIN}}
        if ORIGIN in state_dict:
            check = cast("Callable[..., None]", self.pefc_origin)
            check(self, bytes(_numbers(state_dict, ORIGIN, torch.uint8)))
        drops = _drops(self)
        drawn = _numbers(state_dict, MARK, torch.int64)
        if len(drawn) != len(drops):
            raise RuntimeError(f"`{MARK}` counts {len(drawn)} drops, the model has {len(drops)}")
        expected = _names(self, self.state_dict())
        if strict:
            _check(self, expected ^ set(values))
        found = load(self, values, strict=False, assign=assign)
        assert isinstance(found, _IncompatibleKeys)
        for drop, count in zip(drops, drawn, strict=True):
            drop.drawn = count
        missing = [name for name in found.missing_keys if name in expected]
        return _IncompatibleKeys(missing, found.unexpected_keys)

    return load_state_dict


class _HasAdapter:
    """Tells a Trainer that a quantized model has something to train. All others of transformers'
    questions by this name mean an adapter of PEFT. An attribute of the model comes before it.
    """

    def __get__(self, model: object, owner: type) -> bool:
        frame = inspect.currentframe()
        return model is not None and frame is not None and checks_quantization(frame.f_back)


def _numbers(state: Mapping[str, Tensor], name: str, dtype: torch.dtype) -> list[int]:
    """The numbers of a tensor that speaks of the checkpoint. Raises RuntimeError, as torch does,
    where it is another kind of tensor.
    """
    if state[name].dtype != dtype or state[name].ndim != 1:
        raise RuntimeError(f"`{name}` is not what pefc writes")
    return state[name].tolist()


def _check(model: nn.Module, different: set[str]) -> None:
    """Raises RuntimeError, as torch does, where a strict load meets other names."""
    if different:
        found = ", ".join(f"`{name}`" for name in sorted(different))
        raise RuntimeError(f"the checkpoint and {type(model).__name__} do not both have {found}")


def _names(model: nn.Module, state: Mapping[str, object]) -> set[str]:
    """What an adapter has, what trains, and the buffers that training may change."""
    own = tuple(_prefixes(model))
    names = {name for name in state if name.startswith(own)}
    names.update(name for name, p in model.named_parameters() if p.requires_grad)
    names.update(name for name, _ in base_buffers(model))
    return names.intersection(state)


def _prefixes(model: nn.Module) -> Iterator[str]:
    for path, module in model.named_modules():
        if isinstance(module, Tensors):
            yield f"{path}."


def _drops(model: nn.Module) -> tuple[Drop, ...]:
    return model.__dict__.get("pefc_drops", ())
