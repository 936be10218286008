"""What transformers keeps of a quantized model beside its weights, put there and taken away."""

from collections.abc import Callable, Iterator
from copy import deepcopy

from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel
from transformers.quantizers.auto import AutoHfQuantizer
from transformers.quantizers.base import HfQuantizer

from ...dsl.diagnostics.core import SpecError
from ...dsl.diagnostics.packing import NoQuantizationConfig
from ...runtime.quantized import form, is_packed
from .configs import saying

_ATTRIBUTES = (
    *("hf_quantizer", "is_loaded_in_4bit", "is_loaded_in_8bit"),
    *("is_quantized", "quantization_method"),
)
"""Of a model. What is quantized here gets the first three: the others forbid to cast it, and a
Trainer to move it to its device.
"""
_CONVERSIONS = "_weight_conversions"
"""How the names and tensors of the folder became those of the model, for the way back."""
_OF_CONFIG = ("quantization_config", "_is_quantized")


def declared(model: nn.Module) -> object:
    """What the configuration of a model says of its weights; None where they are plain."""
    return getattr(getattr(model, "config", None), "quantization_config", None)


def as_declared(model: nn.Module) -> Callable[[], None]:
    """What the modules of a tree say now; the function puts it back."""
    names = ("config", _CONVERSIONS, *_ATTRIBUTES)
    before = [
        (module, {name: module.__dict__[name] for name in names if name in module.__dict__})
        for module in model.modules()
    ]

    def put_back() -> None:
        for module, values in before:
            for name in names:
                module.__dict__.pop(name, None)
            module.__dict__.update(values)

    return put_back


def declare(model: nn.Module) -> None:
    """Let the models of transformers in a tree say how their weights are quantized by now. Where no
    configuration says it, they refuse to be saved.
    """
    for root in _roots(model):
        if any(is_packed(module) for module in root.modules()):
            _declare(root)


def retract(model: nn.Module) -> None:
    """Leave nothing by which the models of transformers in a tree say that they are quantized."""
    for root in _roots(model):
        _forget_folder(root)
        _own_config(root)
        for inner in _models(root):
            for name in _ATTRIBUTES:
                inner.__dict__.pop(name, None)
            for name in _OF_CONFIG:
                inner.config.__dict__.pop(name, None)


def _declare(root: PreTrainedModel) -> None:
    said = saying(root)
    _forget_folder(root)
    _own_config(root)
    for inner in _models(root):
        inner.config._is_quantized = True
    if isinstance(said, BitsAndBytesConfig):
        root.config.quantization_config = said
        root.__dict__["hf_quantizer"] = AutoHfQuantizer.from_config(said)
    else:
        root.config.__dict__.pop("quantization_config", None)
        for inner in _models(root):
            inner.__dict__["hf_quantizer"] = Refusing(type(inner).__name__, said)
    for found in filter(None, map(form, root.modules())):
        bits = 8 if found.format == "int8" else 4
        root.__dict__[f"is_loaded_in_{bits}bit"] = True


def _forget_folder(root: PreTrainedModel) -> None:
    """What read quantized tensors has no way back, for which transformers asks; there is nothing to
    do, since a model saves them as they are stored.
    """
    known = root.__dict__.get(_CONVERSIONS)
    if known:
        root.__dict__[_CONVERSIONS] = [each for each in known if not _reads_quantized(each)]


def _reads_quantized(conversion: object) -> bool:
    operations: list[object] = getattr(conversion, "operations", [])
    return any(getattr(operation, "hf_quantizer", None) is not None for operation in operations)


def _own_config(root: PreTrainedModel) -> None:
    """Give a model a configuration of its own: another one may have been made from the same."""
    copies: dict[int, object] = {}
    for inner in _models(root):
        deepcopy(inner.config, copies)
    for module in root.modules():
        known = id(module.__dict__.get("config"))
        if known in copies:
            module.__dict__["config"] = copies[known]


def _roots(model: nn.Module) -> Iterator[PreTrainedModel]:
    """The models of transformers in a tree, without those that are parts of another one."""
    if isinstance(model, PreTrainedModel):
        yield model
    else:
        for child in model.children():
            yield from _roots(child)


def _models(root: PreTrainedModel) -> Iterator[PreTrainedModel]:
    """A model and those that are parts of it."""
    return (module for module in root.modules() if isinstance(module, PreTrainedModel))


class Refusing(HfQuantizer):
    """Stands where transformers asks whether a model may be saved. This one may not: its folder
    would be read as something else.
    """

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(BitsAndBytesConfig())
        self.model = model
        self.reason = reason

    def is_serializable(self) -> bool:
        """Raises SpecError."""
        raise SpecError([NoQuantizationConfig(self.model, self.reason)])

    @property
    def is_trainable(self) -> bool:
        """Adapters on the model train."""
        return True
