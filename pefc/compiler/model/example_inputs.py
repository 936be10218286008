"""Example inputs of a model, of the smallest useful size: what its forward is run on while it is
traced.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Size:
    """How large the example is, and whether sequences come with a mask."""

    batch: int
    length: int
    masked: bool = False


class NoInputsError(Exception):
    """The model does not say what its forward takes."""


def example_inputs(model: nn.Module, size: Size) -> dict[str, Tensor]:
    """Inputs by name; by position, as "0", "1", …, where the forward takes any."""
    if hasattr(model, "config") and hasattr(model, "main_input_name"):
        return _of_transformers(model, size)
    return _of_module(model, size)


def _ids(size: Size) -> Tensor:
    return torch.zeros(size.batch, size.length, dtype=torch.long)


def _of_transformers(model: nn.Module, size: Size) -> dict[str, Tensor]:
    accepted = inspect.signature(model.forward).parameters
    config: object = model.config
    main: object = model.main_input_name
    if main == "pixel_values":
        return {"pixel_values": _image(config, size)}
    if main == "input_features":
        inputs = {"input_features": torch.zeros(size.batch, *_spectrogram(config))}
    elif main == "input_values":
        inputs = {"input_values": torch.zeros(size.batch, 16000)}
    else:
        inputs = {"input_ids": _ids(size)}
        if size.masked and "attention_mask" in accepted:
            inputs["attention_mask"] = torch.ones(size.batch, size.length, dtype=torch.long)
    if "decoder_input_ids" in accepted:
        inputs["decoder_input_ids"] = _ids(size)
    return inputs


def _image(config: object, size: Size) -> Tensor:
    side: int | tuple[int, int] = getattr(config, "image_size", 224)
    height, width = (side, side) if isinstance(side, int) else side
    return torch.zeros(size.batch, int(getattr(config, "num_channels", 3)), height, width)


def _spectrogram(config: object) -> tuple[int, int]:
    length = 2 * int(getattr(config, "max_source_positions", 1500))
    return int(getattr(config, "num_mel_bins", 80)), length


def _of_module(model: nn.Module, size: Size) -> dict[str, Tensor]:
    names = list(_required(model))
    if len(names) == 1:
        return {names[0]: _fitting(model, size)}
    msg = f"the forward of {type(model).__name__} takes {', '.join(names) or 'nothing'}"
    raise NoInputsError(msg)


def _required(model: nn.Module) -> Iterator[str]:
    """The inputs that a forward must be given; a container passes on what it gets."""
    parameters = inspect.signature(model.forward).parameters.values()
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL or parameter.kind is parameter.VAR_KEYWORD:
            continue
        if parameter.default is parameter.empty:
            yield parameter.name


def _fitting(model: nn.Module, size: Size) -> Tensor:
    """What the first module with parameters can take."""
    for module in model.modules():
        match module:
            case nn.Embedding():
                return _ids(size)
            case nn.Linear():
                return torch.zeros(size.batch, size.length, module.in_features)
            case nn.Conv1d():
                return torch.zeros(size.batch, module.in_channels, 32)
            case nn.Conv2d():
                return torch.zeros(size.batch, module.in_channels, 32, 32)
            case nn.LayerNorm():
                return torch.zeros(size.batch, size.length, *module.normalized_shape)
            case _:
                continue
    msg = f"no layer of {type(model).__name__} says what its input is"
    raise NoInputsError(msg)
