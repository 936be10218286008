"""The configuration from which transformers reads a quantized model again, or why there is none."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from copy import copy

from torch import nn
from transformers import BitsAndBytesConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D
from transformers.quantizers.base import HfQuantizer
from transformers.quantizers.quantizers_utils import should_convert_module

from ...runtime.quantized import Form, form, is_packed


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
