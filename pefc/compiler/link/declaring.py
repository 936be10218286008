"""What transformers keeps of a quantized model beside its weights, put there and taken away."""

from collections.abc import Iterator
from copy import deepcopy

from torch import nn
from transformers import BitsAndBytesConfig, PretrainedConfig, PreTrainedModel
from transformers.quantizers.auto import AutoHfQuantizer
from transformers.quantizers.base import HfQuantizer

from ...dsl.diagnostics.core import SpecError
from ...dsl.diagnostics.packing import NoQuantizationConfig
from ...runtime.change import Change
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


def declare(change: Change, model: nn.Module, packed: nn.Module) -> None:
    """Let the models of transformers in a tree say how their weights are quantized by now. Where no
    configuration says it, they refuse to be saved. `packed` is the tree with its quantized modules.
    """
    for root, outcome in zip(_roots(model), _roots(packed), strict=True):
        if any(is_packed(module) for module in outcome.modules()):
            _declare(change, root, outcome)


def retract(change: Change, model: nn.Module) -> None:
    """Leave nothing by which the models of transformers in a tree say that they are quantized."""
    for root in _roots(model):
        _forget_folder(change, root)
        for config in _own_configs(change, root):
            for name in _OF_CONFIG:
                config.__dict__.pop(name, None)
        for inner in _models(root):
            for name in _ATTRIBUTES:
                change.attributes(inner).pop(name, None)


def _declare(change: Change, root: PreTrainedModel, outcome: PreTrainedModel) -> None:
    said = saying(outcome)
    _forget_folder(change, root)
    own, *inner = _own_configs(change, root)
    for config in (own, *inner):
        config._is_quantized = True
    attributes = change.attributes(root)
    if isinstance(said, BitsAndBytesConfig):
        own.quantization_config = said
        attributes["hf_quantizer"] = AutoHfQuantizer.from_config(said)
    else:
        own.__dict__.pop("quantization_config", None)
        for model in _models(root):
            change.attributes(model)["hf_quantizer"] = Refusing(type(model).__name__, said)
    for found in filter(None, map(form, outcome.modules())):
        attributes[f"is_loaded_in_{8 if found.format == 'int8' else 4}bit"] = True


def _forget_folder(change: Change, root: PreTrainedModel) -> None:
    """What read quantized tensors has no way back, for which transformers asks; there is nothing to
    do, since a model saves them as they are stored.
    """
    known = root.__dict__.get(_CONVERSIONS)
    if known:
        kept = [each for each in known if not _reads_quantized(each)]
        change.attributes(root)[_CONVERSIONS] = kept


def _reads_quantized(conversion: object) -> bool:
    operations: list[object] = getattr(conversion, "operations", [])
    return any(getattr(operation, "hf_quantizer", None) is not None for operation in operations)


def _own_configs(change: Change, root: PreTrainedModel) -> list[PretrainedConfig]:
    """Give a model and its parts configurations of their own: another one may have been made from
    the same. Returns them, that of the model first.
    """
    copies: dict[int, object] = {}
    made = [deepcopy(inner.config, copies) for inner in _models(root)]
    for module in root.modules():
        known = id(module.__dict__.get("config"))
        if known in copies:
            change.attributes(module)["config"] = copies[known]
    return made


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
