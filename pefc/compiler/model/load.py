"""Models by name: a folder or hub id, of which `config.json` is enough, or a function that makes
one.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import torch
import transformers
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PretrainedConfig,
    PreTrainedModel,
)

from ...dsl.diagnostics.model_files import (
    AdapterAsModel,
    FunctionNotFound,
    ModelNotFound,
    NotModel,
    UnknownArchitecture,
    UnnamedArchitecture,
)
from ...dsl.diagnostics.quantization import UnreadableBits
from ...dsl.diagnostics.report import SpecError
from ...dsl.diagnostics.warn import warn
from ...runtime.files import MANIFEST
from ...runtime.quantized import missing
from .quantizer import load_quantizer


def read_model(reference: str, *, weights: bool = False, **options: object) -> nn.Module:
    """The model that a reference means, on `meta` unless its weights are asked for and there; these
    are read with `options` of `from_pretrained`.

    Raises SpecError where the reference leads nowhere.
    """
    if not is_folder(reference):
        return _made(reference)
    config = _config(reference)
    architecture = _architecture(reference, config)
    reads = weights and _has_weights(reference)
    if reads and (getattr(config, "quantization_config", None) or "quantization_config" in options):
        _load_reader(reference)
    try:
        if reads:
            model = (architecture or AutoModel).from_pretrained(reference, **options)  # pyright: ignore[reportArgumentType]
        else:
            model = _without_weights(architecture, config)
    except Exception as error:
        raise SpecError([NotModel(reference, reason_of(error))]) from error
    if architecture is None:
        warn(UnnamedArchitecture(reference, type(model).__name__, _with_head(config)))
    return model.eval()


def is_folder(reference: str) -> bool:
    """Whether a reference means a folder or a hub id, not a function."""
    return ":" not in reference or Path(reference).exists()


def _without_weights(
    architecture: type[PreTrainedModel] | None, config: PretrainedConfig
) -> nn.Module:
    with torch.device("meta"):
        return AutoModel.from_config(config) if architecture is None else architecture(config)


def _load_reader(reference: str) -> None:
    """Import what transformers reads quantized weights with, before it does so itself."""
    if absent := missing("bitsandbytes", "accelerate"):
        raise SpecError([UnreadableBits(reference, absent)])
    load_quantizer()


def _made(reference: str) -> nn.Module:
    function = function_named(reference, "a model")
    try:
        model = function()
    except Exception as error:
        raise SpecError([NotModel(reference, reason_of(error))]) from error
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise SpecError([NotModel(reference, f"it returns `{kind}`, not a `torch.nn.Module`")])
    return model


def function_named(reference: str, gives: str) -> Callable[[], object]:
    """The function that `package.module:function` means.

    Raises SpecError where there is none.
    """
    module, _, name = reference.partition(":")

    def refused(reason: str) -> SpecError:
        return SpecError([FunctionNotFound(reference, reason, gives)])

    if not name:
        raise refused("there is no `:` with a function behind it")
    try:
        function = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise refused(f"there is no module `{error.name}`") from error
    except AttributeError as error:
        raise refused(f"`{module}` has no `{name}`") from error
    except (ImportError, ValueError) as error:
        raise refused(str(error)) from error
    except Exception as error:
        raise refused(reason_of(error)) from error
    if not callable(function):
        raise refused(f"`{name}` is not a function")
    return function


def _config(reference: str) -> PretrainedConfig:
    folder = Path(reference)
    if folder.is_dir() and not (folder / "config.json").is_file():
        if (folder / MANIFEST).is_file():
            raise SpecError([AdapterAsModel(reference)])
        raise SpecError([ModelNotFound(reference, "the folder has no `config.json`")])
    if folder.is_file():
        raise SpecError([ModelNotFound(reference, "it is a file, not a folder")])
    if not folder.is_dir() and reference.startswith((".", "/", "~")):
        raise SpecError([ModelNotFound(reference, "there is no such folder")])
    try:
        return AutoConfig.from_pretrained(reference)
    except Exception as error:
        if folder.is_dir():
            raise SpecError([NotModel(reference, reason_of(error))]) from error
        reason = str(error).strip().partition("\n")[0]
        raise SpecError([ModelNotFound(reference, reason)]) from error


def reason_of(error: Exception) -> str:
    """What a library or a user's function raised, on one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _architecture(reference: str, config: PretrainedConfig) -> type[PreTrainedModel] | None:
    """The class that the configuration names, if it names one."""
    names = config.architectures or []
    if not names:
        return None
    architecture = getattr(transformers, names[0], None)
    if architecture is None:
        raise SpecError([UnknownArchitecture(reference, names[0])])
    return architecture


def _with_head(config: PretrainedConfig) -> str | None:
    """A class with a head for a configuration, if transformers has one that writes text."""
    kinds = (AutoModelForSeq2SeqLM, AutoModelForMaskedLM, AutoModelForCausalLM)
    known = (kind._model_mapping.get(type(config), None) for kind in kinds)
    return next((found.__name__ for found in known if found is not None), None)  # pyright: ignore[reportAttributeAccessIssue]


def _has_weights(reference: str) -> bool:
    """A hub id is taken to have weights; a folder is looked at."""
    folder = Path(reference)
    patterns = ("*.safetensors", "*.bin")
    return not folder.is_dir() or any(any(folder.glob(pattern)) for pattern in patterns)
