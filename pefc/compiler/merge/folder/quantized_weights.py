"""The weights of a folder that are stored in few bits."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from ....dsl.diagnostics.model_files import DamagedCheckpoint, QuantizedCheckpoint
from ....dsl.diagnostics.quantization import UnreadableBits
from ....dsl.diagnostics.report import SpecError
from ....runtime import quantized
from ....runtime.change import Change
from ....runtime.files import Checkpoint
from ....runtime.quantized.form import Form
from ...link import put
from ...model import linear_width, load_quantizer

_METHOD = "bitsandbytes"


@dataclass(frozen=True, slots=True)
class Bits:
    """A weight in few bits."""

    form: Form
    shape: tuple[int, ...] | None
    """[out, in], as its state says."""
    dtype: torch.dtype
    """Of its values."""
    beside: tuple[str, ...]
    """The names of what it is read with."""


def read_bits(folder: Path, model: nn.Module, checkpoint: Checkpoint) -> Mapping[str, Bits]:
    """The weights of a folder that are stored in few bits, by their names in the files.

    Raises SpecError where they are in a form that is not known.
    """
    config = getattr(getattr(model, "config", None), "quantization_config", None)
    if config is None:
        return {}
    facts = config if isinstance(config, dict) else config.to_dict()
    method = str(getattr(facts.get("quant_method"), "value", facts.get("quant_method", "unknown")))
    if method != _METHOD:
        raise SpecError([QuantizedCheckpoint(str(folder), method)])
    if absent := quantized.missing("bitsandbytes"):
        raise SpecError([UnreadableBits(str(folder), absent)])
    load_quantizer()
    weights = quantized.saved.saved_weights(checkpoint.homes)
    if not weights:
        reason = f"`config.json` names the quantization `{_METHOD}`, and no weight is stored so"
        raise SpecError([DamagedCheckpoint(str(folder), reason)])
    compute = facts.get("bnb_4bit_compute_dtype")
    chosen = compute if isinstance(compute, torch.dtype) else getattr(torch, str(compute), None)
    return {name: _bits(checkpoint, name, beside, chosen) for name, beside in weights.items()}


def _bits(
    checkpoint: Checkpoint, name: str, beside: tuple[str, ...], compute: torch.dtype | None
) -> Bits:
    tensors = {inner: checkpoint.tensor(inner) for inner in beside}
    try:
        form, shape, dtype = quantized.saved.saved_form(name, tensors, compute)
    except ValueError as error:
        path = checkpoint.homes[name][0].path
        raise SpecError([DamagedCheckpoint(str(path), str(error))]) from error
    return Bits(form, shape, dtype, beside)


def hollowed(model: nn.Module, bits: Mapping[str, Bits]) -> None:
    """Put quantized modules without values where a model has weights that are stored in few bits,
    by the names that the model has for them.
    """
    others: dict[str, nn.Module] = {}
    for name, found in bits.items():
        path = name.rpartition(".")[0]
        module = dict(model.named_modules()).get(path)
        width = None if module is None else linear_width(module)
        if module is None or width is None:
            continue
        weight = torch.empty(width[::-1], dtype=found.dtype, device="meta")
        made = quantized.meta.hollow(module, found.form, weight)
        made.source_cls = type(module)  # pyright: ignore[reportArgumentType]
        others[path] = made
    change = Change()
    put(change, model, others)
    change.commit()
