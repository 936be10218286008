"""What transformers keeps of a quantized model beside its weights, put there and taken away."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from copy import copy, deepcopy

from torch import nn
from transformers import BitsAndBytesConfig, PretrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.auto import AutoHfQuantizer
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

from ....dsl.diagnostics.quantize_statement import NoQuantizationConfig
from ....dsl.diagnostics.report import SpecError
from ....runtime.change import Change
from ....runtime.quantized.form import Form, form, is_packed


def config_of(kind: Form, skipped: list[str] | None) -> BitsAndBytesConfig:
    """What a form is for transformers."""
    if kind.format == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=skipped)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type=kind.format,
        bnb_4bit_use_double_quant=kind.double,
        bnb_4bit_compute_dtype=kind.compute,
        llm_int8_skip_modules=skipped,
    )


def all_but(paths: Collection[str], model: nn.Module) -> list[str]:
    """What transformers leaves alone where it quantizes just these modules. Models of one base,
    with a head or without, read each other's folders; so the name of the base may come before a
    path, and need not.
    """
    prefix = getattr(model, "base_model_prefix", "")
    prefix = f"{prefix}." if prefix else ""
    names = "|".join(re.escape(path.removeprefix(prefix)) for path in paths)
    return [rf"(?!(?:{re.escape(prefix)})?(?:{names})$).*"]


def saying(model: PreTrainedModel) -> BitsAndBytesConfig | str:
    """The configuration of the quantized modules that a model has, or why none fits. One that is
    there and true stays; else what transformers leaves alone by itself is not listed, since heads
    that a model does not have yet are among it.
    """
    packed = {path: module for path, module in model.named_modules() if is_packed(module)}
    present = _present(model)
    if present is not None and not isinstance(present, BitsAndBytesConfig):
        return f"other weights of it are quantized by {type(present).__name__}"
    wanted = {repr(found): found for found in map(_config_at, packed.values())}
    if len(wanted) > 1:
        return _counted(packed)
    (config,) = wanted.values()
    if present is not None and repr(_of_all(present)) == repr(config):
        config = copy(present)
    if config is None:
        return "the dtype of products is that of the first input"
    tried = (config.llm_int8_skip_modules, None, all_but(packed, model))
    for skipped in tried:
        if _quantized(model, skipped) == set(packed):
            config.llm_int8_skip_modules = skipped
            return config
    path = next(iter(_quantized(model, tried[-1]) ^ set(packed)))
    return f"transformers leaves `{path}` in floating point"


def _config_at(module: nn.Module) -> BitsAndBytesConfig | None:
    """What transformers has to know of one module; None where it cannot be said."""
    kind = form(module)
    assert kind is not None
    if kind.format == "int8":
        state = module.state
        return BitsAndBytesConfig(
            load_in_8bit=True,
            llm_int8_threshold=float(state.threshold),  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
            llm_int8_has_fp16_weight=state.has_fp16_weights,  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]
        )
    if kind.compute is None:
        return None
    found = config_of(kind, None)
    found.bnb_4bit_quant_storage = module.get_parameter("weight").dtype
    return found


def _of_all(config: BitsAndBytesConfig) -> BitsAndBytesConfig:
    """A configuration without what it says of single modules or of devices."""
    found = copy(config)
    found.llm_int8_skip_modules = None
    found.llm_int8_enable_fp32_cpu_offload = False
    return found


def _present(model: nn.Module) -> object:
    """What a model that arrived quantized says of itself."""
    return getattr(getattr(model, "hf_quantizer", None), "quantization_config", None)


def _quantized(model: PreTrainedModel, skipped: list[str] | None) -> set[str]:
    """The modules that transformers would quantize in a model like this one."""
    kept = list(model._keep_in_fp32_modules or ())
    left = HfQuantizer.get_modules_to_not_convert(model, skipped, kept)
    return {path for path in _linear(model) if should_convert_module(path, left)}


def _linear(model: nn.Module) -> Iterator[str]:
    """The modules of the classes that transformers replaces; subclasses are not among them."""
    for path, module in model.named_modules():
        kind = getattr(module, "source_cls", nn.Linear) if is_packed(module) else type(module)
        if kind in (nn.Linear, Conv1D):
            yield path


def _counted(packed: Mapping[str, nn.Module]) -> str:
    """How many weights have which form."""
    forms = Counter(str(form(module)) for module in packed.values())
    if len(forms) == 1:
        return "its weights differ in how their bits are stored, or in what is an outlier"
    parts = " and ".join(f"{count} are {kind}" for kind, count in forms.items())
    return f"of its weights {parts}"


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
